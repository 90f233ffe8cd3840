import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AutoScalingGroup } from '#adapters/auto-scaling-group.ts';
import { FakeAutoScaling } from '#test/support/fake-auto-scaling.ts';

describe('the auto scaling group of the workers', () => {
  let aws: FakeAutoScaling;
  beforeEach(async () => {
    aws = await FakeAutoScaling.start('workers');
  });
  afterEach(() => aws[Symbol.asyncDispose]());

  it('is woken when it is empty', async () => {
    expect(await new AutoScalingGroup('workers', aws.client).wake()).toBe(true);
    expect(aws.desired).toBe(1);
  });

  it('keeps the size that it has', async () => {
    aws.desired = 3;
    expect(await new AutoScalingGroup('workers', aws.client).wake()).toBe(false);
    expect(aws.desired).toBe(3);
    expect(aws.requests).toEqual(['DescribeAutoScalingGroups']);
  });

  it('stays empty where it may not grow', async () => {
    aws.maxSize = 0;
    expect(await new AutoScalingGroup('workers', aws.client).wake()).toBe(false);
    expect(aws.desired).toBe(0);
  });

  it('is asked once a minute, however often work comes', async () => {
    let nowMs = 0;
    const group = new AutoScalingGroup('workers', aws.client, () => nowMs);
    for (; nowMs < 120_000; nowMs += 1000) await group.wake();
    expect(aws.requests.filter((action) => action === 'DescribeAutoScalingGroups')).toHaveLength(2);
  });

  it('is named when it is not there', async () => {
    await expect(new AutoScalingGroup('other', aws.client).wake()).rejects.toThrow(
      'no auto scaling group "other"',
    );
  });

  it('is told to keep an instance, and to let it go', async () => {
    const group = new AutoScalingGroup('workers', aws.client);
    await group.protect('i-1', true);
    expect([...aws.protectedInstances]).toEqual(['i-1']);
    await group.protect('i-1', false);
    expect([...aws.protectedInstances]).toEqual([]);
  });
});
