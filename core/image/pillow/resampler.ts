import type { Size } from '#core/geometry.ts';
import type { KernelMemory, Lines } from '#core/image/kernel-memory.ts';
import { KernelModule } from '#core/image/wasm.ts';
import { ACROSS_TAPS, DOWN_BYTES, DOWN_TAPS, kernelModule, LOW_BITS, ROWS } from './kernel.ts';
import type { Taps } from './taps.ts';

interface Kernel {
  across(
    source: number,
    stride: number,
    target: number,
    targetStride: number,
    taps: number,
    targetPx: number,
  ): void;
  down(
    source: number,
    stride: number,
    target: number,
    targetBytes: number,
    weights: number,
    steps: number,
  ): void;
}

const MODULE = new KernelModule<Kernel>(kernelModule);

/** Source rows that are copied in at once: they are scaled while they lie in the processor's cache. */
const STRIP_BYTES = 64 * 1024;
const WEIGHT_MASK = (1 << LOW_BITS) - 1;

/** The passes of one picture. */
export class Resampler {
  readonly #memory: KernelMemory;
  readonly #kernel: Kernel;

  constructor(memory: KernelMemory) {
    this.#memory = memory;
    this.#kernel = memory.kernel(MODULE);
  }

  /** @param pixels uint8 RGB `[heightPx, widthPx, 3]`. */
  load(pixels: Uint8Array, size: Size): Lines {
    const lines = this.#lines(size);
    const { bytes } = this.#memory.views;
    const rowBytes = size.widthPx * 3;
    for (let y = 0; y < size.heightPx; y++)
      bytes.set(pixels.subarray(y * rowBytes, (y + 1) * rowBytes), lines.at + y * lines.stride);
    return lines;
  }

  /** Horizontal pass over pixels that are not in the kernel's memory: they go through it strip by strip. */
  acrossFrom(pixels: Uint8Array, size: Size, targetPx: number, taps: Taps): Lines {
    const rowBytes = size.widthPx * 3;
    const groups = Math.max(1, Math.floor(STRIP_BYTES / (rowBytes * ROWS)));
    const strip = this.#memory.take(groups * ROWS * rowBytes);
    const table = this.#acrossTable(taps);
    const lines = this.#lines({ widthPx: targetPx, heightPx: size.heightPx });
    const { bytes } = this.#memory.views;
    for (let top = 0; top < size.heightPx; top += groups * ROWS) {
      const rows = Math.min(groups * ROWS, size.heightPx - top);
      bytes.set(pixels.subarray(top * rowBytes, (top + rows) * rowBytes), strip);
      for (let row = 0; row < rows; row += ROWS)
        this.#kernel.across(
          strip + row * rowBytes,
          rowBytes,
          lines.at + (top + row) * lines.stride,
          lines.stride,
          table,
          targetPx,
        );
    }
    return lines;
  }

  across(from: Lines, targetPx: number, taps: Taps): Lines {
    const table = this.#acrossTable(taps);
    const lines = this.#lines({ widthPx: targetPx, heightPx: from.heightPx });
    for (let row = 0; row < from.heightPx; row += ROWS)
      this.#kernel.across(
        from.at + row * from.stride,
        from.stride,
        lines.at + row * lines.stride,
        lines.stride,
        table,
        targetPx,
      );
    return lines;
  }

  down(from: Lines, targetPx: number, { first, count, weights, most }: Taps): Lines {
    const table = this.#memory.take(Math.ceil(most / DOWN_TAPS) * 4 * DOWN_TAPS);
    const lines = this.#lines({ widthPx: from.widthPx, heightPx: targetPx });
    const { int16s } = this.#memory.views;
    for (let y = 0; y < targetPx; y++) {
      const steps = Math.ceil((count[y] as number) / DOWN_TAPS);
      writeWeights(int16s, table / 2, weights, y * most, count[y] as number, DOWN_TAPS);
      this.#kernel.down(
        from.at + (first[y] as number) * from.stride,
        from.stride,
        lines.at + y * lines.stride,
        from.stride,
        table,
        steps,
      );
    }
    return lines;
  }

  /** The taps as the kernel's `across` reads them. */
  #acrossTable({ first, count, weights, most }: Taps): number {
    const table = this.#memory.take(first.length * (8 + Math.ceil(most / ACROSS_TAPS) * 4 * ACROSS_TAPS));
    const { int16s, int32s } = this.#memory.views;
    let at = table;
    for (let x = 0; x < first.length; x++) {
      const steps = Math.ceil((count[x] as number) / ACROSS_TAPS);
      int32s[at / 4] = (first[x] as number) * 3;
      int32s[at / 4 + 1] = steps;
      writeWeights(int16s, at / 2 + 4, weights, x * most, count[x] as number, ACROSS_TAPS);
      at += 8 + steps * 4 * ACROSS_TAPS;
    }
    return table;
  }

  /** Room for a picture. ROWS at once may be written, so there is room for some too many. */
  #lines(size: Size): Lines {
    const stride = Math.ceil((size.widthPx * 3 + 1) / DOWN_BYTES) * DOWN_BYTES;
    const at = this.#memory.take((size.heightPx + ROWS - 1) * stride);
    return { ...size, memory: this.#memory, stride, at };
  }
}

/** Weights in steps of so many taps: their low parts, then their high ones; 0 behind the last. */
function writeWeights(
  table: Int16Array,
  at: number,
  weights: Int32Array,
  from: number,
  count: number,
  tapsPerStep: number,
): void {
  for (let k = 0, to = at; k < count; k += tapsPerStep, to += 2 * tapsPerStep) {
    for (let i = 0; i < tapsPerStep; i++) {
      const weight = k + i < count ? (weights[from + k + i] as number) : 0;
      table[to + i] = weight & WEIGHT_MASK;
      table[to + tapsPerStep + i] = weight >> LOW_BITS;
    }
  }
}
