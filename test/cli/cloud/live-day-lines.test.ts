import { describe, expect, it } from 'vitest';
import { liveDayLines } from '#cli/cloud/live-day-lines.ts';
import type { LiveDayStatus } from '#cli/cloud/live-day-status.ts';

const NONE = { waiting: 0, leased: 0 };

function shown(change: Partial<LiveDayStatus> = {}): string {
  return liveDayLines({
    job: 'live-2026-11-20',
    day: '2026-11-20',
    state: 'open',
    at: '2026-11-20T14:05:30.000Z',
    audited: 1200,
    failed: 0,
    verdicts: { pass: 190, review: 7, reject: 3 },
    judged: 200,
    newestAt: '2026-11-20T14:03:10.000Z',
    deadLetters: [],
    queues: { events: { waiting: 3, leased: 1 }, live: NONE },
    workers: [],
    bottleneck: 'no worker is running',
    ...change,
  }).join('\n');
}

describe('what sluice status shows of a day of the live lane', () => {
  it('is what has come, how the newest were judged, and what waits', () => {
    const text = shown({ longestWaitSeconds: 1.24 });
    expect(text).toContain('job         live-2026-11-20: open');
    expect(text).toContain('images      1,200 so far\n');
    expect(text).toContain('verdicts    pass 190 · review 7 · reject 3, of the newest 200');
    expect(text).toContain('newest      14:03:10 UTC, 2:20 min ago');
    expect(text).toContain('queues      events 3 waiting, 1 in hand · live packs 0 waiting, 0 in hand');
    expect(text).toContain('waited      1.2 s for a model at the longest, in the last minute');
    expect(text).toContain('workers     none');
  });

  it('says what died, and how to send it again', () => {
    const deadLetters = [{ queue: 'live', reason: 'the model is out of order', letters: 4 }] as const;
    const text = shown({ failed: 4, deadLetters });
    expect(text).toContain('1,200 so far, 4 dead letters (sluice redrive live-2026-11-20 tries them again)');
    expect(text).toContain('died        4 of live: the model is out of order');
  });

  it('is the whole day once it is complete, and nothing of queues that are about other days', () => {
    const verdicts = { pass: 1190, review: 0, reject: 8, unreadable: 2 };
    const text = shown({
      state: 'complete',
      audited: 1198,
      unreadable: 2,
      failed: 1,
      verdicts,
      judged: 1200,
    });
    expect(text).toContain('1,198 audited, 2 unreadable, 1 failed (sluice redrive');
    expect(text).toMatch(/^verdicts {4}pass 1,190 · reject 8 · unreadable 2$/m);
    expect(text).not.toMatch(/^(queues|workers)/m);
  });

  it('says that nothing has come', () => {
    const text = shown({ audited: 0, judged: 0, verdicts: {} });
    expect(text).toContain('images      none so far');
    expect(text).not.toMatch(/^verdicts/m);
  });
});
