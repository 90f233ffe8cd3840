import type { KernelMemory } from '#core/image/kernel-memory.ts';
import {
  type Code,
  i32,
  increase,
  KernelModule,
  type Local,
  repeatWhile,
  v128,
  type WasmFunction,
  wasmFunction,
  wasmModule,
  ZERO,
} from '#core/image/wasm.ts';

interface Kernel {
  /**
   * The lowest frequencies of columns of float64 that are {@link SIDE} high, two columns at a time; those of a column come to lie beside
   * each other. `upper` is the address of the first row, `lower` that of the last one, `rowBytes` how far rows are apart, and `cosines`
   * that of the weights, float64 `[HALF, KEPT]`. Behind the last frequency come two sums of squares of all values.
   */
  low(
    upper: number,
    lower: number,
    rowBytes: number,
    columnPairs: number,
    cosines: number,
    target: number,
  ): void;
}

/** Side of the square that is transformed, and of the block of low frequencies that is kept. */
export const SIDE = 32;
export const KEPT = 8;
const HALF = SIDE / 2;

const VECTOR = 16;
const DOUBLE = 8;

/**
 * cos((2x + 1) · k · π / 64), column x after column x: the left half of the low rows k of the DCT-II matrix of size 32, unscaled. The
 * right half is the left one mirrored, with the sign turned in every second row.
 */
const COSINES = Float64Array.from({ length: HALF * KEPT }, (_, i) =>
  Math.cos(((2 * Math.floor(i / KEPT) + 1) * (i % KEPT) * Math.PI) / (2 * SIDE)),
);

const MODULE = new KernelModule<Kernel>(() => wasmModule([low()]));

/**
 * The lowest frequencies of the DCT-II of a 32×32 square of float64 that lies at `at`, unscaled.
 *
 * @param take gives room in the memory.
 * @param frequencies is filled with the 8×8 of them, row by row. The first is the sum of all values.
 * @returns the sum of the squares of all values.
 */
export function lowFrequencies(
  memory: KernelMemory,
  at: number,
  take: (bytes: number) => number,
  frequencies: Float64Array,
): number {
  const cosines = take(DOUBLE * COSINES.length);
  const down = take(DOUBLE * SIDE * KEPT + VECTOR);
  const across = take(DOUBLE * KEPT * KEPT + VECTOR);
  const { doubles } = memory.views;
  doubles.set(COSINES, cosines / DOUBLE);
  const kernel = memory.kernel(MODULE);
  const transform = (from: number, columns: number, to: number): void => {
    const rowBytes = DOUBLE * columns;
    kernel.low(from, from + (SIDE - 1) * rowBytes, rowBytes, columns / 2, cosines, to);
  };
  // Columns become rows each time, so that the second time it is rows that are transformed.
  transform(at, SIDE, down);
  transform(down, KEPT, across);
  for (let i = 0; i < KEPT * KEPT; i++) frequencies[i] = doubles[across / DOUBLE + i] as number;
  const squares = down / DOUBLE + SIDE * KEPT;
  return (doubles[squares] as number) + (doubles[squares + 1] as number);
}

function low(): WasmFunction {
  return wasmFunction('low', 6, { integers: 4, vectors: KEPT + 5 }, (parameters, integers, vectors) => {
    const [upper, lower, rowBytes, pairsLeft, cosines, target] = parameters;
    const [top, bottom, weights, rowsLeft] = integers;
    const [above, below, even, odd, squares, ...sums] = vectors as [
      Local,
      Local,
      Local,
      Local,
      Local,
      ...Local[],
    ];
    const add = (sum: Local, value: Code): Code => sum.set(v128.addF64(sum.get, value));
    const row = [
      ...above.set(v128.load(top.get)),
      ...below.set(v128.load(bottom.get)),
      ...even.set(v128.addF64(above.get, below.get)),
      ...odd.set(v128.subF64(above.get, below.get)),
      ...add(squares, v128.mulF64(above.get, above.get)),
      ...add(squares, v128.mulF64(below.get, below.get)),
      ...sums.flatMap((sum, k) =>
        add(sum, v128.mulF64((k % 2 === 0 ? even : odd).get, v128.load64Splat(weights.get, k * DOUBLE))),
      ),
      ...top.set(i32.add(top.get, rowBytes.get)),
      ...bottom.set(i32.sub(bottom.get, rowBytes.get)),
      ...increase(weights, KEPT * DOUBLE),
      ...increase(rowsLeft, -1),
    ];
    const columnPair = [
      ...top.set(upper.get),
      ...bottom.set(lower.get),
      ...weights.set(cosines.get),
      ...rowsLeft.set(i32.const(HALF)),
      ...sums.flatMap((sum) => sum.set(ZERO)),
      ...repeatWhile(row, rowsLeft.get),
      ...[0, 1].flatMap((lane) =>
        sums.flatMap((sum, k) => [
          ...v128.store64Lane(target.get, sum.get, lane, (lane * KEPT + k) * DOUBLE),
        ]),
      ),
      ...increase(upper, VECTOR),
      ...increase(lower, VECTOR),
      ...increase(target, 2 * KEPT * DOUBLE),
      ...increase(pairsLeft, -1),
    ];
    return [...repeatWhile(columnPair, pairsLeft.get), ...v128.store(target.get, squares.get)];
  });
}
