import { BT601_256THS } from '#core/image/bt601.ts';
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

const { red: RED, green: GREEN, blue: BLUE } = BT601_256THS;

const LANES = 16;
const PAGE_BYTES = 65536;
/** 128 rows of 255 are the most that signed 16 bits hold. */
const MAX_ROWS = 128;
/** Rows that are copied in at once, so that they are added up while they lie in the processor's cache. */
const STRIP_BYTES = 64 * 1024;

/**
 * Adds up the luma of whole rows of pictures of one width, in 256ths of a level, to cells beside each other: 16 bytes and then
 * a pixel at a time, a strip of rows after the other. A pixel that a border cuts has its share in both cells.
 */
export class CellLuma {
  readonly #rowBytes: number;
  readonly #columns: number;
  readonly #rowsAtOnce: number;
  readonly #cells: number;
  /** Where in the memory lie how many pixels each cell has, the sums of columns, and the rows. Those of cells come first. */
  readonly #countsAt: number;
  readonly #sumsAt: number;
  readonly #rowsAt: number;
  readonly #instance: Instance;
  /** Of the pixel at the end of each cell: how much of it belongs there, and where its sums lie. */
  readonly #parts: Float64Array;
  readonly #cuts: Int32Array;

  /** @param borders where the cells begin and end, ascending from 0 to widthPx: one more than there are cells. */
  constructor(widthPx: number, borders: Float64Array) {
    this.#rowBytes = 3 * widthPx;
    this.#columns = Math.ceil(this.#rowBytes / LANES) * LANES;
    this.#rowsAtOnce = Math.min(MAX_ROWS, Math.max(1, Math.floor(STRIP_BYTES / this.#rowBytes)));
    this.#cells = borders.length - 1;
    this.#countsAt = LANES * this.#cells;
    this.#sumsAt = this.#countsAt + Math.ceil((4 * this.#cells) / LANES) * LANES;
    // What is read behind the last row counts for no column, and what is read behind a pixel for no cell.
    this.#rowsAt = this.#sumsAt + 2 * this.#columns + LANES;
    this.#instance = instanceOf(this.#rowsAt + this.#rowsAtOnce * this.#rowBytes + LANES);
    const whole = borders.map(Math.floor);
    this.#parts = borders.map((border, i) => border - (whole[i] as number)).subarray(1);
    this.#cuts = Int32Array.from(whole.subarray(1), (pixel) => this.#sumsAt / 2 + 3 * pixel);
    for (let cell = 0; cell < this.#cells; cell++)
      this.#instance.integers[this.#countsAt / 4 + cell] =
        (whole[cell + 1] as number) - (whole[cell] as number);
  }

  /**
   * Adds the rows `from` to `until` (exclusive), times `weight`, to the cells from `first` on. No other one may be made
   * meanwhile: all share their memory.
   *
   * @param pixels uint8 RGB `[rows, widthPx, 3]`.
   */
  add(
    pixels: Uint8Array,
    from: number,
    until: number,
    weight: number,
    cells: Float64Array,
    first: number,
  ): void {
    const { kernel, bytes, halves, integers } = this.#instance;
    for (let row = from; row < until; row += this.#rowsAtOnce) {
      const rows = Math.min(this.#rowsAtOnce, until - row);
      bytes.set(pixels.subarray(row * this.#rowBytes, (row + rows) * this.#rowBytes), this.#rowsAt);
      kernel.sums(this.#rowsAt, this.#rowBytes, this.#sumsAt, this.#columns, rows);
      kernel.cells(this.#sumsAt, this.#countsAt, 0, this.#cells);
      let before = 0;
      for (let cell = 0; cell < this.#cells; cell++) {
        const part = this.#parts[cell] as number;
        const cut = part === 0 ? 0 : part * lumaAt(halves, this.#cuts[cell] as number);
        const whole = (integers[4 * cell] as number) + (integers[4 * cell + 1] as number);
        cells[first + cell] = (cells[first + cell] as number) + weight * (whole + cut - before);
        before = cut;
      }
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
