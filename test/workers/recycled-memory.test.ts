import { describe, expect, it } from 'vitest';
import { RecycledMemory } from '#workers/recycled-memory.ts';

const arrayOf = (buffer: Buffer): ArrayBuffer => buffer.buffer as ArrayBuffer;

describe('recycled memory', () => {
  it('comes back for another pack of nearly the same size, exactly as long as asked for', () => {
    const memory = new RecycledMemory();
    const first = memory.take(1_000_000);
    memory.give(arrayOf(first));
    const second = memory.take(1_000_123);
    expect(second.buffer).toBe(first.buffer);
    expect(second.length).toBe(1_000_123);
    expect(memory.take(1_000_000).buffer).not.toBe(first.buffer);
  });

  it('is never handed out twice, even if it is given twice', () => {
    const memory = new RecycledMemory();
    const first = memory.take(500);
    memory.give(arrayOf(first));
    memory.give(arrayOf(first));
    expect(memory.take(500).buffer).not.toBe(memory.take(500).buffer);
  });

  it('takes the smallest that fits, and does not waste a large one on a small pack', () => {
    const memory = new RecycledMemory();
    const [small, middle, large] = [300_000, 400_000, 9_000_000].map((bytes) => memory.take(bytes)) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    for (const one of [large, middle, small]) memory.give(arrayOf(one));
    expect(memory.take(299_000).buffer).toBe(small.buffer);
    expect(memory.take(301_000).buffer).toBe(middle.buffer);
    expect(memory.take(300_000).buffer).not.toBe(large.buffer);
  });

  it('ignores what has gone to another thread, and gives up the oldest beyond its limit', () => {
    const memory = new RecycledMemory(250_000);
    const gone = memory.take(100);
    structuredClone(arrayOf(gone), { transfer: [arrayOf(gone)] });
    memory.give(arrayOf(gone));
    expect(memory.take(100).length).toBe(100);

    const [first, second] = [memory.take(190_000), memory.take(190_001)];
    memory.give(arrayOf(first));
    memory.give(arrayOf(second));
    expect(memory.take(190_000).buffer).toBe(second.buffer);
    expect(memory.take(190_000).buffer).not.toBe(first.buffer);
  });
});
