import { describe, expect, it } from 'vitest';
import type { InterruptionNotice } from '#adapters/instance-metadata.ts';
import { standBy } from '#workers/stand-by.ts';

const rebalance: InterruptionNotice = { kind: 'rebalance', at: '2026-11-20T08:22:00Z' };
const interruption: InterruptionNotice = { kind: 'interruption', at: '2026-11-20T08:24:00Z' };

/** Answers with one notice after the other, then stops whoever asks. */
function notices(...answers: (InterruptionNotice | Error | undefined)[]) {
  const stop = new AbortController();
  const asked = { times: 0 };
  const metadata = {
    interruption: async (): Promise<InterruptionNotice | undefined> => {
      const answer = answers[asked.times++];
      if (asked.times >= answers.length) stop.abort();
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  return { metadata, asked, stop: stop.signal };
}

describe('a worker that starts on an instance with a notice', () => {
  it('waits until it is told to stop, however often it asks', async () => {
    const { metadata, asked, stop } = notices(rebalance, new Error('no answer'), rebalance, interruption);
    await standBy(rebalance, metadata, { everyMs: 0, patienceMs: 600_000, stop });
    expect(asked.times).toBe(4);
    expect(stop.aborted).toBe(true);
  });

  it('works after all where the notice is gone, or nothing has replaced the instance', async () => {
    const gone = notices(undefined, rebalance);
    await standBy(rebalance, gone.metadata, { everyMs: 0, patienceMs: 600_000, stop: gone.stop });
    expect(gone.stop.aborted).toBe(false);
    const never = notices(rebalance, rebalance);
    await standBy(rebalance, never.metadata, { everyMs: 0, patienceMs: 0, stop: never.stop });
    expect(never.asked.times).toBe(0);
  });

  it('never does where the instance is being taken away', async () => {
    const { metadata, asked, stop } = notices(interruption, interruption, interruption);
    await standBy(interruption, metadata, { everyMs: 0, patienceMs: 0, stop });
    expect(asked.times).toBe(3);
  });
});
