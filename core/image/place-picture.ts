import type { Placement } from '#core/geometry.ts';
import type { Lines } from '#core/image/kernel-memory.ts';
import {
  copyBytes,
  i32,
  increase,
  KernelModule,
  repeatWhile,
  v128,
  wasmFunction,
  wasmModule,
  when,
} from '#core/image/wasm.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';

interface Kernel {
  /** Copies of each line so many blocks of 32 bytes, and then so many bytes. Strides are how far lines are apart, in bytes. */
  move(
    source: number,
    sourceStride: number,
    target: number,
    targetStride: number,
    blocks: number,
    rest: number,
    lines: number,
  ): void;
}

const MODULE = new KernelModule<Kernel>(kernelModule);

const VECTOR = 16;
const BLOCK = 2 * VECTOR;
/** Lines of the target are made in pieces of about so much, which stay in the processor's cache. */
const STRIP_BYTES = 24 * 1024;

/**
 * Lays the crop of a scaled picture into a pack's row, and pads the rest: with the letterbox's colour, else black.
 *
 * Lines are laid beside each other in the kernels' memory first, and copied many at once: to copy each by itself takes twice as long.
 *
 * @param row uint8 RGB of the target, `[spec.heightPx, spec.widthPx, 3]`, written whole.
 */
export function placePicture(
  { memory, at, stride }: Lines,
  { crop, leftPx, topPx }: Placement,
  spec: PreprocessSpec,
  row: Uint8Array,
): void {
  const lineBytes = 3 * spec.widthPx;
  const lines = Math.max(1, Math.floor(STRIP_BYTES / lineBytes));
  const strip = memory.scratch()(lines * lineBytes);
  const kernel = memory.kernel(MODULE);
  const [blocks, rest] = [Math.floor((3 * crop.widthPx) / BLOCK), (3 * crop.widthPx) % BLOCK];
  const { bytes } = memory.views;
  pad(row.subarray(0, topPx * lineBytes), spec);
  pad(row.subarray((topPx + crop.heightPx) * lineBytes), spec);
  if (crop.widthPx < spec.widthPx) pad(bytes.subarray(strip, strip + lines * lineBytes), spec);
  for (let y = 0; y < crop.heightPx; y += lines) {
    const count = Math.min(lines, crop.heightPx - y);
    const from = at + (crop.topPx + y) * stride + 3 * crop.leftPx;
    kernel.move(from, stride, strip + 3 * leftPx, lineBytes, blocks, rest, count);
    row.set(bytes.subarray(strip, strip + count * lineBytes), (topPx + y) * lineBytes);
  }
}

/** @param pixels whole ones. */
function pad(pixels: Uint8Array, spec: PreprocessSpec): void {
  const [r, g, b] = spec.resize.mode === 'letterbox' ? spec.resize.pad : [0, 0, 0];
  if (r === g && g === b) {
    pixels.fill(r);
    return;
  }
  for (let i = 0; i < pixels.length; i += 3) {
    pixels[i] = r;
    pixels[i + 1] = g;
    pixels[i + 2] = b;
  }
}

function kernelModule(): Uint8Array<ArrayBuffer> {
  const move = wasmFunction('move', 7, { integers: 3, vectors: 0 }, (parameters, integers) => {
    const [source, sourceStride, target, targetStride, blocks, rest, lines] = parameters;
    const [from, to, left] = integers;
    const block = [
      ...v128.store(to.get, v128.load(from.get)),
      ...v128.store(to.get, v128.load(from.get, VECTOR), VECTOR),
      ...increase(from, BLOCK),
      ...increase(to, BLOCK),
      ...increase(left, -1),
    ];
    return repeatWhile(
      [
        ...from.set(source.get),
        ...to.set(target.get),
        ...left.set(blocks.get),
        ...when(left.get, repeatWhile(block, left.get)),
        ...when(rest.get, copyBytes(to.get, from.get, rest.get)),
        ...source.set(i32.add(source.get, sourceStride.get)),
        ...target.set(i32.add(target.get, targetStride.get)),
        ...increase(lines, -1),
      ],
      lines.get,
    );
  });
  return wasmModule([move]);
}
