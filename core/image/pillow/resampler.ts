import type { Size } from '#core/geometry.ts';
import { compiled, type WasmMemory } from '#core/image/wasm.ts';
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

const PAGE_BYTES = 65536;
/** More than that is not kept for the next picture. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** What the kernel may read or write behind what is its own. */
const MARGIN_BYTES = 64;
/** Source rows that are copied in at once: they are scaled while they lie in the processor's cache. */
const STRIP_BYTES = 64 * 1024;
const WEIGHT_MASK = (1 << LOW_BITS) - 1;

/** A picture in the memory of the kernel: RGB, its rows `stride` bytes apart. */
interface Lines extends Size {
  readonly at: number;
  readonly stride: number;
}

/** The passes of one picture. What lies in the kernel's memory is valid until it is unloaded, or another one is made. */
export class Resampler {
  readonly #kernel: Kernel;
  readonly #memory: WasmMemory;
  #end = 0;

  constructor() {
    shared ??= instance();
    this.#kernel = shared.kernel;
    this.#memory = shared.memory;
  }

  /** @param pixels uint8 RGB `[heightPx, widthPx, 3]`. */
  load(pixels: Uint8Array, size: Size): Lines {
    const lines = this.#lines(size);
    const bytes = this.#bytes();
    const rowBytes = size.widthPx * 3;
    for (let y = 0; y < size.heightPx; y++)
      bytes.set(pixels.subarray(y * rowBytes, (y + 1) * rowBytes), lines.at + y * lines.stride);
    return lines;
  }

  /** uint8 RGB `[heightPx, widthPx, 3]`, a copy. */
  unload({ at, stride, widthPx, heightPx }: Lines): Uint8Array {
    const rowBytes = widthPx * 3;
    const pixels = new Uint8Array(rowBytes * heightPx);
    const bytes = this.#bytes();
    // Large memory would stay with the process: it goes with its picture.
    if (bytes.length > KEPT_BYTES) shared = undefined;
    for (let y = 0; y < heightPx; y++)
      pixels.set(bytes.subarray(at + y * stride, at + y * stride + rowBytes), y * rowBytes);
    return pixels;
  }

  /** Horizontal pass over pixels that are not in the kernel's memory: they go through it strip by strip. */
  acrossFrom(pixels: Uint8Array, size: Size, targetPx: number, taps: Taps): Lines {
    const rowBytes = size.widthPx * 3;
    const groups = Math.max(1, Math.floor(STRIP_BYTES / (rowBytes * ROWS)));
    const strip = this.#take(groups * ROWS * rowBytes);
    const table = this.#acrossTable(taps);
    const lines = this.#lines({ widthPx: targetPx, heightPx: size.heightPx });
    const bytes = this.#bytes();
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
    const table = this.#take(Math.ceil(most / DOWN_TAPS) * 4 * DOWN_TAPS);
    const lines = this.#lines({ widthPx: from.widthPx, heightPx: targetPx });
    const table16 = new Int16Array(this.#memory.buffer);
    for (let y = 0; y < targetPx; y++) {
      const steps = Math.ceil((count[y] as number) / DOWN_TAPS);
      writeWeights(table16, table / 2, weights, y * most, count[y] as number, DOWN_TAPS);
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
    const table = this.#take(first.length * (8 + Math.ceil(most / ACROSS_TAPS) * 4 * ACROSS_TAPS));
    const table32 = new Int32Array(this.#memory.buffer);
    const table16 = new Int16Array(this.#memory.buffer);
    let at = table;
    for (let x = 0; x < first.length; x++) {
      const steps = Math.ceil((count[x] as number) / ACROSS_TAPS);
      table32[at / 4] = (first[x] as number) * 3;
      table32[at / 4 + 1] = steps;
      writeWeights(table16, at / 2 + 4, weights, x * most, count[x] as number, ACROSS_TAPS);
      at += 8 + steps * 4 * ACROSS_TAPS;
    }
    return table;
  }

  /** Room for a picture. ROWS at once may be written, so there is room for some too many. */
  #lines(size: Size): Lines {
    const stride = Math.ceil((size.widthPx * 3 + 1) / DOWN_BYTES) * DOWN_BYTES;
    return { ...size, stride, at: this.#take((size.heightPx + ROWS - 1) * stride) };
  }

  #take(bytes: number): number {
    const at = this.#end;
    this.#end = Math.ceil((at + bytes + MARGIN_BYTES) / DOWN_BYTES) * DOWN_BYTES;
    const lacking = this.#end - this.#memory.buffer.byteLength;
    if (lacking > 0) this.#memory.grow(Math.ceil(lacking / PAGE_BYTES));
    return at;
  }

  #bytes(): Uint8Array {
    return new Uint8Array(this.#memory.buffer);
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

let shared: { readonly kernel: Kernel; readonly memory: WasmMemory } | undefined;
let newInstance: ((initialPages: number) => typeof shared & object) | undefined;

function instance(): typeof shared & object {
  newInstance ??= compiled<Kernel>(kernelModule());
  return newInstance(1);
}
