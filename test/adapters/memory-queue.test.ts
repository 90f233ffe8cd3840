import { MemoryQueue } from '#adapters/memory-queue.ts';
import { describeMessageQueue } from '#test/contracts/message-queue.ts';

describeMessageQueue(
  'MemoryQueue',
  async (options) => {
    let nowMs = 0;
    const queue = new MemoryQueue({ ...options, now: () => nowMs });
    return {
      queue,
      elapse: async (ms) => {
        nowMs += ms;
      },
      deadLetters: async () => queue.deadLetters.map(({ body, reason }) => ({ body, reason })),
    };
  },
  10_000,
);
