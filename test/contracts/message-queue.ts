import { describe, expect, it } from 'vitest';
import type { MessageQueue } from '#core/ports/message-queue.ts';

/** A queue for one test, with this visibility time-out and delivery limit. */
export interface QueueUnderTest {
  readonly queue: MessageQueue;
  /** Lets this much of the queue's time go by. */
  elapse(ms: number): Promise<void>;
  deadLetters(): Promise<readonly { body: string; reason?: string | undefined }[]>;
}

/** What every message queue must do; run over each implementation. */
export function describeMessageQueue(
  name: string,
  open: (options: { visibilityMs: number; maxDeliveries: number }) => Promise<QueueUnderTest>,
  /** The unit of all times: a second for a queue that is really waited for, since SQS knows nothing shorter. */
  unitMs: number,
): void {
  describe(`${name} as a MessageQueue`, () => {
    const options = { visibilityMs: 3 * unitMs, maxDeliveries: 2 };
    const receiveOne = (queue: MessageQueue) => queue.receive({ maxMessages: 1, waitMs: 0 });

    it('delivers each message once while its lease holds', async () => {
      const { queue } = await open(options);
      await queue.send(['a', 'b', 'c']);
      const leases = await queue.receive({ maxMessages: 10, waitMs: 0 });
      expect(leases.map((lease) => lease.body).sort()).toEqual(['a', 'b', 'c']);
      expect(leases.every((lease) => lease.deliveryCount === 1)).toBe(true);
      expect(await receiveOne(queue)).toEqual([]);
    });

    it('never delivers an acknowledged message again', async () => {
      const { queue, elapse } = await open(options);
      await queue.send(['a']);
      for (const lease of await receiveOne(queue)) await lease.ack();
      await elapse(6 * unitMs);
      expect(await receiveOne(queue)).toEqual([]);
    });

    it('delivers again when a lease has run out, and counts deliveries', async () => {
      const { queue, elapse } = await open(options);
      await queue.send(['a']);
      await receiveOne(queue);
      await elapse(3 * unitMs + 1);
      const [again] = await receiveOne(queue);
      expect(again?.deliveryCount).toBe(2);
    });

    it('keeps a message invisible as long as its lease is extended', async () => {
      const { queue, elapse } = await open(options);
      await queue.send(['a']);
      const [lease] = await receiveOne(queue);
      await elapse(2 * unitMs);
      await lease?.extend(3 * unitMs);
      await elapse(2 * unitMs);
      expect(await receiveOne(queue)).toEqual([]);
      await elapse(unitMs + 1);
      expect(await receiveOne(queue)).toHaveLength(1);
    });

    it('delivers a message at once when it is given back, or after the delay', async () => {
      const { queue, elapse } = await open({ ...options, maxDeliveries: 5 });
      await queue.send(['a']);
      const [first] = await receiveOne(queue);
      await first?.retry();
      const [second] = await receiveOne(queue);
      expect(second?.deliveryCount).toBe(2);
      await second?.retry({ delayMs: unitMs });
      expect(await receiveOne(queue)).toEqual([]);
      await elapse(unitMs + 1);
      expect(await receiveOne(queue)).toHaveLength(1);
    });

    it('moves a message to the dead letters after too many deliveries', async () => {
      const { queue, deadLetters } = await open(options);
      await queue.send(['poison']);
      for (let i = 0; i < 2; i++)
        for (const lease of await receiveOne(queue)) await lease.retry({ reason: `try ${i}` });
      expect(await receiveOne(queue)).toEqual([]);
      expect(await deadLetters()).toEqual([{ body: 'poison', reason: 'try 1' }]);
      expect(await queue.depth()).toEqual({ waiting: 0, leased: 0 });
    });

    it('buries a message at once, with the reason', async () => {
      const { queue, deadLetters } = await open(options);
      await queue.send(['foreign']);
      for (const lease of await receiveOne(queue)) await lease.bury('not one of ours');
      expect(await receiveOne(queue)).toEqual([]);
      expect(await deadLetters()).toEqual([{ body: 'foreign', reason: 'not one of ours' }]);
    });

    it('holds a message back for the delay it was sent with', async () => {
      const { queue, elapse } = await open(options);
      await queue.send(['later'], { delayMs: unitMs });
      expect(await receiveOne(queue)).toEqual([]);
      await elapse(unitMs + 1);
      expect(await receiveOne(queue)).toHaveLength(1);
    });

    it('sends and acknowledges more messages than one batch holds', async () => {
      const { queue } = await open(options);
      const bodies = Array.from({ length: 23 }, (_, i) => `message ${i}`);
      await queue.send(bodies);
      const got: string[] = [];
      for (let leases = await queue.receive({ maxMessages: 10, waitMs: 0 }); leases.length > 0; ) {
        got.push(...leases.map((lease) => lease.body));
        await Promise.all(leases.map((lease) => lease.ack()));
        leases = await queue.receive({ maxMessages: 10, waitMs: 0 });
      }
      expect(got.sort()).toEqual(bodies.sort());
      expect(await queue.depth()).toEqual({ waiting: 0, leased: 0 });
    });

    it('ignores what a lease does after another receiver got its message', async () => {
      const { queue, elapse } = await open(options);
      await queue.send(['a']);
      const [late] = await receiveOne(queue);
      await elapse(3 * unitMs + 1);
      const [current] = await receiveOne(queue);
      await late?.retry();
      expect(await receiveOne(queue)).toEqual([]);
      await current?.ack();
      expect(await queue.depth()).toEqual({ waiting: 0, leased: 0 });
    });

    it('counts waiting and leased messages', async () => {
      const { queue } = await open(options);
      await queue.send(['a', 'b', 'c']);
      await receiveOne(queue);
      expect(await queue.depth()).toEqual({ waiting: 2, leased: 1 });
    });

    it('wakes a receiver that waits', async () => {
      const { queue } = await open(options);
      const waiting = queue.receive({ maxMessages: 1, waitMs: 20_000 });
      await queue.send(['late']);
      expect((await waiting).map((lease) => lease.body)).toEqual(['late']);
    });

    it('stops waiting when it is told to', async () => {
      const { queue } = await open(options);
      const stop = new AbortController();
      const waiting = queue.receive({ maxMessages: 1, waitMs: 20_000, signal: stop.signal });
      stop.abort();
      expect(await waiting).toEqual([]);
    });
  });
}
