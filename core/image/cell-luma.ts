import {
  compiled,
  i32,
  increase,
  type Local,
  repeatWhile,
  v128,
  type WasmMemory,
  wasmFunction,
  wasmModule,
  when,
} from '#core/image/wasm.ts';

interface Kernel {
  /** Adds up rows of bytes: int16 sums of each column, 16 columns at a time. Addresses and lengths in bytes. */
  sums(source: number, stride: number, target: number, columns: number, rows: number): void;
  /** Adds up the luma of int16 RGB: of each cell, int32 of red and green and int32 of blue. `pixels` has int32 how many each cell has. */
  cells(source: number, pixels: number, target: number, cells: number): void;
}

/** ITU-R BT.601 luma, in 256ths of a level. */
const RED = 77;
const GREEN = 150;
const BLUE = 29;

const LANES = 16;
const PAGE_BYTES = 65536;
/** 128 rows of 255 are the most that signed 16 bits hold. */
const MAX_ROWS = 128;
/** Rows that are copied in at once, so that they are added up while they lie in the processor's cache. */
const STRIP_BYTES = 64 * 1024;

/**
 * Adds the luma of whole rows of a picture, in 256ths of a level and times `weight`, to cells beside each other: 16 bytes and then
 * a pixel at a time, a strip of rows after the other. A pixel that a border cuts has its share in both cells.
 *
 * @param pixels uint8 RGB `[rows, widthPx, 3]`, of which the rows `from` to `until` (exclusive) are added.
 * @param borders where the cells begin and end, ascending from 0 to widthPx: one more than there are cells.
 */
export function addCellLuma(
  pixels: Uint8Array,
  widthPx: number,
  [from, until]: readonly [number, number],
  borders: Float64Array,
  weight: number,
  cells: Float64Array,
): void {
  const rowBytes = 3 * widthPx;
  const columns = Math.ceil(rowBytes / LANES) * LANES;
  const rowsAtOnce = Math.min(MAX_ROWS, Math.max(1, Math.floor(STRIP_BYTES / rowBytes)));
  // The cells' sums lie first, then how many pixels they have, the columns' sums and the rows. What is read behind the last row
  // counts for no column, and what is read behind a pixel for no cell.
  const countsAt = LANES * cells.length;
  const sumsAt = countsAt + Math.ceil((4 * cells.length) / LANES) * LANES;
  const rowsAt = sumsAt + 2 * columns + LANES;
  const { kernel, bytes, halves, integers } = instanceOf(rowsAt + rowsAtOnce * rowBytes + LANES);
  for (let cell = 0; cell < cells.length; cell++)
    integers[countsAt / 4 + cell] =
      Math.floor(borders[cell + 1] as number) - Math.floor(borders[cell] as number);
  for (let row = from; row < until; row += rowsAtOnce) {
    const rows = Math.min(rowsAtOnce, until - row);
    bytes.set(pixels.subarray(row * rowBytes, (row + rows) * rowBytes), rowsAt);
    kernel.sums(rowsAt, rowBytes, sumsAt, columns, rows);
    kernel.cells(sumsAt, countsAt, 0, cells.length);
    let before = 0;
    for (let cell = 0; cell < cells.length; cell++) {
      const border = borders[cell + 1] as number;
      const part = border - Math.floor(border);
      const cut = part === 0 ? 0 : part * lumaAt(halves, sumsAt / 2 + 3 * Math.floor(border));
      const whole = (integers[4 * cell] as number) + (integers[4 * cell + 1] as number);
      cells[cell] = (cells[cell] as number) + weight * (whole + cut - before);
      before = cut;
    }
  }
}

function lumaAt(rgb: Uint16Array, at: number): number {
  return RED * (rgb[at] as number) + GREEN * (rgb[at + 1] as number) + BLUE * (rgb[at + 2] as number);
}

interface Instance {
  readonly kernel: Kernel;
  readonly memory: WasmMemory;
  /** All of its memory. */
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly integers: Int32Array;
}

let shared: Instance | undefined;

function instanceOf(bytes: number): Instance {
  if (shared === undefined || shared.bytes.length < bytes) {
    const { kernel, memory } = shared ?? compiled<Kernel>(kernelModule())(1);
    const lacking = bytes - memory.buffer.byteLength;
    if (lacking > 0) memory.grow(Math.ceil(lacking / PAGE_BYTES));
    const { buffer } = memory;
    shared = {
      kernel,
      memory,
      bytes: new Uint8Array(buffer),
      halves: new Uint16Array(buffer),
      integers: new Int32Array(buffer),
    };
  }
  return shared;
}

function kernelModule(): Uint8Array<ArrayBuffer> {
  return wasmModule([sums(), cells()]);
}

function sums(): ReturnType<typeof wasmFunction> {
  return wasmFunction('sums', 5, { integers: 2, vectors: 3 }, (parameters, integers, vectors) => {
    const [source, stride, target, columns, rows] = parameters as [Local, Local, Local, Local, Local];
    const [at, left] = integers as [Local, Local];
    const [low, high, bytes] = vectors as [Local, Local, Local];
    const row = [
      ...bytes.set(v128.load(at.get)),
      ...low.set(v128.addI16(low.get, v128.extendLowU8(bytes.get))),
      ...high.set(v128.addI16(high.get, v128.extendHighU8(bytes.get))),
      ...at.set(i32.add(at.get, stride.get)),
      ...increase(left, -1),
    ];
    return repeatWhile(
      [
        ...at.set(source.get),
        ...left.set(rows.get),
        ...low.set(ZERO),
        ...high.set(ZERO),
        ...repeatWhile(row, left.get),
        ...v128.store(target.get, low.get),
        ...v128.store(i32.add(target.get, i32.const(LANES)), high.get),
        ...increase(source, LANES),
        ...increase(target, 2 * LANES),
        ...increase(columns, -LANES),
      ],
      columns.get,
    );
  });
}

function cells(): ReturnType<typeof wasmFunction> {
  return wasmFunction('cells', 4, { integers: 1, vectors: 1 }, (parameters, integers, vectors) => {
    const [source, pixels, target, left] = parameters as [Local, Local, Local, Local];
    const [pixelsLeft] = integers as [Local];
    const [sum] = vectors as [Local];
    const weights = v128.const([RED, GREEN, BLUE, 0, 0, 0, 0, 0].flatMap((weight) => [weight, 0]));
    const pixel = [
      ...sum.set(v128.addI32(sum.get, v128.dotI16(v128.load(source.get), weights))),
      ...increase(source, 6),
      ...increase(pixelsLeft, -1),
    ];
    return repeatWhile(
      [
        ...sum.set(ZERO),
        ...pixelsLeft.set(i32.load(pixels.get, 0)),
        ...when(pixelsLeft.get, repeatWhile(pixel, pixelsLeft.get)),
        ...v128.store(target.get, sum.get),
        ...increase(pixels, 4),
        ...increase(target, LANES),
        ...increase(left, -1),
      ],
      left.get,
    );
  });
}

const ZERO = v128.splatI32(i32.const(0));
