import { describe, expect, it } from 'vitest';
import { MemoryQueue } from '#adapters/memory-queue.ts';
import { Backlog, delayWhileStoppedMs } from '#functions/preprocessing/backlog.ts';

describe('the backlog of packs', () => {
  it('has room up to its limit, counting what is being made, and tells whether a worker takes from it', async () => {
    const packs = new MemoryQueue({ visibilityMs: 60_000, maxDeliveries: 3 });
    const backlog = new Backlog(packs, 2);
    await packs.send(['a']);
    const place = await backlog.reserve();
    expect(place).toBeDefined();
    expect(await backlog.hasRoom()).toBe(false);
    expect({ full: backlog.wasFull, stopped: backlog.isStopped }).toEqual({ full: true, stopped: true });
    await packs.receive({ maxMessages: 1, waitMs: 0 });
    expect(await backlog.hasRoom()).toBe(false);
    expect(backlog.isStopped).toBe(false);
  });

  it('makes shards wait longer and longer while it is full and no worker runs, up to a quarter of an hour', () => {
    const delaysSeconds = [0, 1, 2, 5, 6, 1000].map((times) => delayWhileStoppedMs(times, 20_000) / 1000);
    expect(delaysSeconds).toEqual([20, 40, 80, 640, 900, 900]);
  });
});
