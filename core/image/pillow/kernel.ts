import {
  type Code,
  i32,
  increase,
  type Local,
  repeatWhile,
  v128,
  type WasmFunction,
  wasmFunction,
  wasmModule,
  ZERO,
} from '#core/image/wasm.ts';
import { PRECISION_BITS } from './taps.ts';

/**
 * A weight is high · 2¹⁵ + low, both int16, so that the processor's products of int16 do. Sums may overflow on the way:
 * they are right modulo 2³², and what comes out in the end fits.
 */
export const LOW_BITS = 15;
/** So many rows are scaled at once by `across`: they share the loading of weights. More would not fit the registers. */
export const ROWS = 2;
/** So many neighbouring pixels go into one step of `across`, and so many rows into one of `down`. */
export const ACROSS_TAPS = 4;
export const DOWN_TAPS = 2;
/** So many bytes of a row are made at once by `down`. */
export const DOWN_BYTES = 16;

const HALF = v128.splatI32(i32.const(1 << (PRECISION_BITS - 1)));

/**
 * The WebAssembly module of both passes of Pillow's resampling. Its functions, all addresses in bytes:
 *
 * `across(source, sourceStride, target, targetStride, taps, targetPx)` scales ROWS rows of RGB. For each target
 * pixel `taps` has int32 the byte where its first source pixel lies in a row, int32 its number of steps, and for
 * each step int16 `[low 0, low 1, low 2, low 3, high 0, high 1, high 2, high 3]` of its weights. Writes a byte too many in each
 * row, and reads up to 16 behind it.
 *
 * `down(source, stride, target, targetBytes, weights, steps)` makes one row, DOWN_BYTES at a time. `weights` has for
 * each step int16 `[low 0, low 1, high 0, high 1]`.
 */
export function kernelModule(): Uint8Array<ArrayBuffer> {
  return wasmModule([across(), down()]);
}

function across(): WasmFunction {
  return wasmFunction(
    'across',
    6,
    { integers: 3 * ROWS + 1, vectors: 2 * ROWS + 6 },
    (parameters, integers, vectors) => {
      const [source, stride, target, targetStride, taps, left] = parameters;
      const steps = integers[0] as Local;
      const [rows, targets, ats] = [0, 1, 2].map((i) => integers.slice(1 + i * ROWS, 1 + (i + 1) * ROWS)) as [
        Local[],
        Local[],
        Local[],
      ];
      const [lows, highs] = [vectors.slice(0, ROWS), vectors.slice(ROWS, 2 * ROWS)];
      const [low01, low23, high01, high23, pixels01, pixels23] = vectors.slice(2 * ROWS) as unknown as Six;
      /** int16 of each channel of two neighbouring pixels, side by side. */
      const pairsOf = (pixels: Code, first: number): Code => {
        const places = [0, 1, 2].flatMap((band) => [first + band, 255, first + 3 + band, 255]);
        return v128.swizzle(pixels, v128.const([...places, 255, 255, 255, 255]));
      };
      const step = [
        ...low01.set(v128.load32Splat(taps.get, 0)),
        ...low23.set(v128.load32Splat(taps.get, 4)),
        ...high01.set(v128.load32Splat(taps.get, 8)),
        ...high23.set(v128.load32Splat(taps.get, 12)),
        ...ats.flatMap((at, row) => [
          ...pixels23.set(v128.load(at.get)),
          ...pixels01.set(pairsOf(pixels23.get, 0)),
          ...pixels23.set(pairsOf(pixels23.get, 6)),
          ...accumulate(
            lows[row] as Local,
            v128.addI32(v128.dotI16(pixels01.get, low01.get), v128.dotI16(pixels23.get, low23.get)),
          ),
          ...accumulate(
            highs[row] as Local,
            v128.addI32(v128.dotI16(pixels01.get, high01.get), v128.dotI16(pixels23.get, high23.get)),
          ),
          ...increase(at, 3 * ACROSS_TAPS),
        ]),
        ...increase(taps, 4 * ACROSS_TAPS),
        ...increase(steps, -1),
      ];
      const [above, below] = lows.map((low, row) => sumOf(low, highs[row] as Local)) as [Code, Code];
      const levels = levelsOf(above, below);
      return [
        ...rowsFrom(rows, source, stride),
        ...rowsFrom(targets, target, targetStride),
        ...repeatWhile(
          [
            ...ats.flatMap((at, row) => at.set(i32.add((rows[row] as Local).get, i32.load(taps.get, 0)))),
            ...steps.set(i32.load(taps.get, 4)),
            ...increase(taps, 8),
            ...lows.flatMap((low) => low.set(HALF)),
            ...highs.flatMap((high) => high.set(ZERO)),
            ...repeatWhile(step, steps.get),
            ...pixels01.set(v128.narrowI16ToU8(levels, levels)),
            ...targets.flatMap((to, row) => [
              ...v128.store32Lane(to.get, pixels01.get, row),
              ...increase(to, 3),
            ]),
            ...increase(left, -1),
          ],
          left.get,
        ),
      ];
    },
  );
}

function down(): WasmFunction {
  const quarters = DOWN_BYTES / 4;
  return wasmFunction(
    'down',
    6,
    { integers: 3, vectors: 2 * quarters + 5 },
    (parameters, integers, vectors) => {
      const [source, stride, target, left, weights, steps] = parameters;
      const [at, weight, stepsLeft] = integers;
      const [lows, highs] = [vectors.slice(0, quarters), vectors.slice(quarters, 2 * quarters)];
      const [low, high, upper, lower, pairs] = vectors.slice(2 * quarters) as [
        Local,
        Local,
        Local,
        Local,
        Local,
      ];
      const quarter = (q: number, bytes: Local): Code => [
        ...pairs.set(q % 2 === 0 ? v128.extendLowU8(bytes.get) : v128.extendHighU8(bytes.get)),
        ...accumulate(lows[q] as Local, v128.dotI16(pairs.get, low.get)),
        ...accumulate(highs[q] as Local, v128.dotI16(pairs.get, high.get)),
      ];
      const step = [
        ...low.set(v128.load32Splat(weight.get, 0)),
        ...high.set(v128.load32Splat(weight.get, 4)),
        ...upper.set(v128.load(at.get)),
        ...lower.set(v128.load(i32.add(at.get, stride.get))),
        ...pairs.set(v128.interleave(upper.get, lower.get, 0)),
        ...lower.set(v128.interleave(upper.get, lower.get, 8)),
        ...upper.set(pairs.get),
        ...quarter(0, upper),
        ...quarter(1, upper),
        ...quarter(2, lower),
        ...quarter(3, lower),
        ...at.set(i32.add(i32.add(at.get, stride.get), stride.get)),
        ...increase(weight, 4 * DOWN_TAPS),
        ...increase(stepsLeft, -1),
      ];
      const sums = lows.map((one, q) => sumOf(one, highs[q] as Local)) as [Code, Code, Code, Code];
      return repeatWhile(
        [
          ...at.set(source.get),
          ...weight.set(weights.get),
          ...stepsLeft.set(steps.get),
          ...lows.flatMap((one) => one.set(HALF)),
          ...highs.flatMap((one) => one.set(ZERO)),
          ...repeatWhile(step, stepsLeft.get),
          ...v128.store(
            target.get,
            v128.narrowI16ToU8(levelsOf(sums[0], sums[1]), levelsOf(sums[2], sums[3])),
          ),
          ...increase(source, DOWN_BYTES),
          ...increase(target, DOWN_BYTES),
          ...increase(left, -DOWN_BYTES),
        ],
        left.get,
      );
    },
  );
}

type Six = readonly [Local, Local, Local, Local, Local, Local];

const accumulate = (sum: Local, value: Code): Code => sum.set(v128.addI32(sum.get, value));

function rowsFrom(rows: readonly Local[], first: Local, stride: Local): Code {
  return rows.flatMap((row, i) =>
    row.set(i === 0 ? first.get : i32.add((rows[i - 1] as Local).get, stride.get)),
  );
}

const sumOf = (low: Local, high: Local): Code => v128.addI32(low.get, v128.shiftLeftI32(high.get, LOW_BITS));

/** int16 levels of two vectors of sums, not clipped yet. */
function levelsOf(a: Code, b: Code): Code {
  return v128.narrowI32ToI16(v128.shiftRightI32(a, PRECISION_BITS), v128.shiftRightI32(b, PRECISION_BITS));
}
