import { describe, expect, it } from 'vitest';
import { EnginePool } from '#adapters/engine-pool.ts';
import type { Engine } from '#core/ports/engine.ts';

/** An engine whose runs end when they are told to. */
class WaitingEngine implements Engine {
  readonly provider = 'cuda';
  readonly inputs = [];
  readonly outputs = [];
  readonly ends: (() => void)[] = [];
  disposed = false;

  run(): Promise<Record<string, never>> {
    return new Promise((resolve) => this.ends.push(() => resolve({})));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
  }
}

describe('a pool of sessions', () => {
  it('is called what its sessions are, or what it is told to be: receipts say the precision, too', () => {
    expect(new EnginePool([new WaitingEngine()]).provider).toBe('cuda');
    expect(new EnginePool([new WaitingEngine()], 'tensorrt-fp16').provider).toBe('tensorrt-fp16');
  });

  it('gives each batch to the session with the least to do', async () => {
    const [a, b] = [new WaitingEngine(), new WaitingEngine()];
    const pool = new EnginePool([a, b]);
    expect(pool.runsInFlight).toBe(2);
    const runs = [pool.run({}), pool.run({}), pool.run({})];
    expect([a.ends.length, b.ends.length]).toEqual([2, 1]);
    b.ends[0]?.();
    await runs[1];
    void pool.run({});
    expect([a.ends.length, b.ends.length]).toEqual([2, 2]);
    await pool[Symbol.asyncDispose]();
    expect([a.disposed, b.disposed]).toEqual([true, true]);
  });
});
