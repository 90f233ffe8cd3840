import { describe, expect, it } from 'vitest';
import { InstanceMetadata, watchInterruption } from '#adapters/instance-metadata.ts';
import { FakeInstanceMetadata } from '#test/support/fake-instance-metadata.ts';

describe('the instance metadata service', () => {
  it('has no notice as long as there is none', async () => {
    await using fake = await FakeInstanceMetadata.start();
    expect(await new InstanceMetadata(fake).interruption()).toBeUndefined();
  });

  it('tells of an interruption, and of a rebalance recommendation', async () => {
    await using fake = await FakeInstanceMetadata.start();
    const metadata = new InstanceMetadata(fake);
    fake.answers.set('events/recommendations/rebalance', '{"noticeTime":"2026-11-20T08:22:00Z"}');
    expect(await metadata.interruption()).toEqual({ kind: 'rebalance', at: '2026-11-20T08:22:00Z' });
    fake.answers.set('spot/instance-action', '{"action":"terminate","time":"2026-11-20T08:24:00Z"}');
    expect(await metadata.interruption()).toEqual({ kind: 'interruption', at: '2026-11-20T08:24:00Z' });
    expect(fake.tokensGiven).toBe(1);
  });

  it('tells which instance it is', async () => {
    await using fake = await FakeInstanceMetadata.start();
    fake.answers.set('instance-id', 'i-0123456789abcdef0');
    expect(await new InstanceMetadata(fake).instanceId()).toBe('i-0123456789abcdef0');
  });

  it('gets a new token when the old one has run out', async () => {
    await using fake = await FakeInstanceMetadata.start();
    const metadata = new InstanceMetadata(fake);
    await metadata.interruption();
    fake.expireToken();
    expect(await metadata.interruption()).toBeUndefined();
    expect(fake.tokensGiven).toBe(2);
  });

  it('does not wait for a service that stalls, and refuses what it cannot read', async () => {
    await using fake = await FakeInstanceMetadata.start();
    fake.answers.set('spot/instance-action', 'garbage');
    await expect(new InstanceMetadata(fake).interruption()).rejects.toThrow();
    fake.stall();
    await expect(new InstanceMetadata({ ...fake, timeoutMs: 50 }).interruption()).rejects.toThrow();
  });
});

describe('watching for an interruption', () => {
  it('ends with the first notice', async () => {
    await using fake = await FakeInstanceMetadata.start();
    const watching = watchInterruption(new InstanceMetadata(fake), {
      everyMs: 5,
      stop: new AbortController().signal,
    });
    fake.answers.set('spot/instance-action', '{"action":"stop","time":"2026-11-20T08:24:00Z"}');
    expect(await watching).toMatchObject({ kind: 'interruption' });
  });

  it('ends without one when it is stopped, and is not disturbed by there being no such service', async () => {
    const stop = new AbortController();
    const watching = watchInterruption(new InstanceMetadata({ endpoint: 'http://127.0.0.1:9' }), {
      everyMs: 1,
      stop: stop.signal,
    });
    setTimeout(() => stop.abort(), 30);
    expect(await watching).toBeUndefined();
  });
});
