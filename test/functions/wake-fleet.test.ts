import { describe, expect, it } from 'vitest';
import { AutoScalingGroup } from '#adapters/auto-scaling-group.ts';
import { jsonLog } from '#adapters/json-log.ts';
import { wakeFleet } from '#functions/wake-fleet.ts';
import { FakeAutoScaling } from '#test/support/fake-auto-scaling.ts';

describe('waking the fleet', () => {
  it('never stops the work that it is woken for, and says why it stays asleep', async () => {
    await using aws = await FakeAutoScaling.start('workers');
    aws.fails = true;
    const lines: string[] = [];
    const log = jsonLog({}, (line) => void lines.push(line));
    await wakeFleet({ fleet: new AutoScalingGroup('workers', aws.client) }, log);
    expect(lines.join('')).toContain('not you');
  });
});
