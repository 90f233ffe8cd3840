import { expect, it } from 'vitest';
import { cellLuma } from '#core/image/cell-luma.ts';
import { KernelMemory } from '#core/image/kernel-memory.ts';

it('adds up more luma than 32 bits hold', () => {
  const [widthPx, heightPx, side] = [8500, 4128, 32];
  const memory = new KernelMemory();
  const picture = memory.load(new Uint8Array(3 * widthPx * heightPx).fill(255), { widthPx, heightPx });
  const at = cellLuma(picture, side, memory.scratch()) / 8;
  const cells = memory.views.doubles.subarray(at, at + side * side);
  const expected = (255 * 256 * widthPx * heightPx) / (side * side);
  for (const cell of cells) expect(cell).toBeCloseTo(expected, 0);
});
