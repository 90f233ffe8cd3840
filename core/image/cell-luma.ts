import { BT601_256THS } from '#core/image/bt601.ts';
import {
  type Code,
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
  /** Adds up rows of bytes: int16 sums of each column, {@link COLUMNS} of them at a time. Addresses and lengths in bytes. */
  sums(source: number, stride: number, target: number, columns: number, rows: number): void;
  /**
   * Adds the luma of int16 RGB to float64 cells. `pixels` has two int32 for each cell: how many pairs of pixels it has, and how many (0
   * or 1) are left; `parts` two float64: 1, and how much of the pixel behind belongs to it.
   */
  cells(source: number, pixels: number, parts: number, target: number, cells: number): void;
}

const { red: RED, green: GREEN, blue: BLUE } = BT601_256THS;

/** Bytes of a vector, of a float64, and of two int32. */
const VECTOR = 16;
const DOUBLE = 8;
const COUNTS = 8;
const COLUMNS = 2 * VECTOR;
const PAGE_BYTES = 65536;
/** 128 rows of 255 are the most that signed 16 bits hold. */
const MAX_ROWS = 128;
/** Rows that are copied in at once, so that they are added up while they lie in the processor's cache. */
const STRIP_BYTES = 64 * 1024;

/**
 * Adds up the luma of whole rows of a picture, in 256ths of a level, to lines of cells beside each other: 32 bytes and then two
 * pixels at a time. A pixel that a border cuts has its share in both cells.
 */
export class CellLuma {
  /** float64 `[lines, cells]`, 0 at first. */
  readonly cells: Float64Array;
  readonly #pixels: Uint8Array;
  readonly #rowBytes: number;
  readonly #columns: number;
  readonly #rowsHeld: number;
  readonly #cellsOfLine: number;
  /** Where in the memory lie what the kernel is told of cells, the sums of columns, and the rows. The cells themselves come first. */
  readonly #partsAt: number;
  readonly #countsAt: number;
  readonly #sumsAt: number;
  readonly #rowsAt: number;
  readonly #instance: Instance;
  /** The first of the rows that the memory holds. */
  #firstHeld = Number.NEGATIVE_INFINITY;

  /**
   * All share their memory: another one that is made takes the cells away.
   *
   * @param pixels uint8 RGB `[heightPx, widthPx, 3]`.
   * @param cells how many of equal width a line has.
   */
  constructor(pixels: Uint8Array, widthPx: number, cells: number, lines: number) {
    this.#pixels = pixels;
    this.#rowBytes = 3 * widthPx;
    this.#columns = Math.ceil(this.#rowBytes / COLUMNS) * COLUMNS;
    this.#rowsHeld = Math.min(MAX_ROWS, Math.max(1, Math.floor(STRIP_BYTES / this.#rowBytes)));
    this.#cellsOfLine = cells;
    this.#partsAt = DOUBLE * lines * cells;
    this.#countsAt = this.#partsAt + 2 * DOUBLE * cells;
    this.#sumsAt = this.#countsAt + COUNTS * cells;
    // What is read behind the last row counts for no column, and what is read behind a pixel for no cell.
    this.#rowsAt = this.#sumsAt + 2 * this.#columns + VECTOR;
    this.#instance = instanceOf(this.#rowsAt + this.#rowsHeld * this.#rowBytes + COLUMNS);
    const { doubles, integers } = this.#instance;
    this.cells = doubles.subarray(0, lines * cells).fill(0);
    let begin = 0;
    for (let cell = 0; cell < cells; cell++) {
      const border = ((cell + 1) * widthPx) / cells;
      const end = Math.floor(border);
      doubles[this.#partsAt / DOUBLE + 2 * cell] = 1;
      doubles[this.#partsAt / DOUBLE + 2 * cell + 1] = border - end;
      integers[this.#countsAt / 4 + 2 * cell] = Math.floor((end - begin) / 2);
      integers[this.#countsAt / 4 + 2 * cell + 1] = (end - begin) % 2;
      begin = end;
    }
  }

  /** Adds the rows `from` to `until` (exclusive) to a line of cells. */
  add(from: number, until: number, line: number): void {
    const { kernel } = this.#instance;
    const target = line * this.#cellsOfLine * DOUBLE;
    for (let row = from; row < until; ) {
      const end = Math.min(until, this.#hold(row));
      const at = this.#rowsAt + (row - this.#firstHeld) * this.#rowBytes;
      kernel.sums(at, this.#rowBytes, this.#sumsAt, this.#columns, end - row);
      kernel.cells(this.#sumsAt, this.#countsAt, this.#partsAt, target, this.#cellsOfLine);
      row = end;
    }
  }

  /** Copies a row in, with those behind it, unless it is there. @returns the first row behind it that is not. */
  #hold(row: number): number {
    if (row < this.#firstHeld || row >= this.#firstHeld + this.#rowsHeld) {
      this.#firstHeld = row;
      const until = (row + this.#rowsHeld) * this.#rowBytes;
      this.#instance.bytes.set(this.#pixels.subarray(row * this.#rowBytes, until), this.#rowsAt);
    }
    return this.#firstHeld + this.#rowsHeld;
  }
}

interface Instance {
  readonly kernel: Kernel;
  readonly memory: WasmMemory;
  /** All of its memory. */
  readonly bytes: Uint8Array;
  readonly integers: Int32Array;
  readonly doubles: Float64Array;
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
      integers: new Int32Array(buffer),
      doubles: new Float64Array(buffer),
    };
  }
  return shared;
}

function kernelModule(): Uint8Array<ArrayBuffer> {
  return wasmModule([sums(), cells()]);
}

function sums(): ReturnType<typeof wasmFunction> {
  return wasmFunction('sums', 5, { integers: 2, vectors: 5 }, (parameters, integers, vectors) => {
    const [source, stride, target, columns, rows] = parameters as [Local, Local, Local, Local, Local];
    const [at, left] = integers as [Local, Local];
    const [bytes, ...ofColumns] = vectors as [Local, Local, Local, Local, Local];
    const [low, high, nextLow, nextHigh] = ofColumns as [Local, Local, Local, Local];
    const add = (offset: number, low: Local, high: Local): Code => [
      ...bytes.set(v128.load(at.get, offset)),
      ...low.set(v128.addI16(low.get, v128.extendLowU8(bytes.get))),
      ...high.set(v128.addI16(high.get, v128.extendHighU8(bytes.get))),
    ];
    const row = [
      ...add(0, low, high),
      ...add(VECTOR, nextLow, nextHigh),
      ...at.set(i32.add(at.get, stride.get)),
      ...increase(left, -1),
    ];
    return repeatWhile(
      [
        ...at.set(source.get),
        ...left.set(rows.get),
        ...ofColumns.flatMap((sum) => sum.set(ZERO)),
        ...repeatWhile(row, left.get),
        ...ofColumns.flatMap((sum, i) => v128.store(target.get, sum.get, i * VECTOR)),
        ...increase(source, COLUMNS),
        ...increase(target, 2 * COLUMNS),
        ...increase(columns, -COLUMNS),
      ],
      columns.get,
    );
  });
}

function cells(): ReturnType<typeof wasmFunction> {
  return wasmFunction('cells', 5, { integers: 1, vectors: 4 }, (parameters, integers, vectors) => {
    const [source, pixels, parts, target, left] = parameters as [Local, Local, Local, Local, Local];
    const [pairsLeft] = integers as [Local];
    const [sum, cut, shares, before] = vectors as [Local, Local, Local, Local];
    /** Three or four int32, to be added up, of the next pixel or the next two. */
    const luma = (count: 1 | 2): Code => {
      const weights = Array.from({ length: count }, () => [RED, GREEN, BLUE]).flat();
      return v128.dotI16(v128.load(source.get), v128.const(int16s(weights)));
    };
    const add = (count: 1 | 2): Code => [
      ...sum.set(v128.addI32(sum.get, luma(count))),
      ...increase(source, 6 * count),
    ];
    return repeatWhile(
      [
        ...sum.set(ZERO),
        ...pairsLeft.set(i32.load(pixels.get, 0)),
        ...when(pairsLeft.get, repeatWhile([...add(2), ...increase(pairsLeft, -1)], pairsLeft.get)),
        ...when(i32.load(pixels.get, 4), add(1)),
        ...cut.set(luma(1)),
        // float64 of all of its pixels, and of the one behind them; of that, what belongs to the cell.
        ...sum.set(v128.addI32(lanes(sum, cut, [0, 1, 4, 5]), lanes(sum, cut, [2, 3, 6, 7]))),
        ...sum.set(v128.addI32(lanes(sum, sum, [0, 2, 0, 2]), lanes(sum, sum, [1, 3, 1, 3]))),
        ...shares.set(v128.convertLowI32(sum.get)),
        ...shares.set(v128.mulF64(shares.get, v128.load(parts.get))),
        ...sum.set(v128.addF64(v128.load64Zero(target.get), v128.subF64(shares.get, before.get))),
        ...before.set(lanes(shares, shares, [2, 3, 2, 3])),
        ...v128.store64Lane(target.get, v128.addF64(sum.get, before.get), 0),
        ...increase(pixels, COUNTS),
        ...increase(parts, 2 * DOUBLE),
        ...increase(target, DOUBLE),
        ...increase(left, -1),
      ],
      left.get,
    );
  });
}

/** int32 of `a` (0 to 3) and `b` (4 to 7) by their places. */
function lanes(a: Local, b: Local, places: readonly number[]): Code {
  return v128.shuffle(
    a.get,
    b.get,
    places.flatMap((place) => [0, 1, 2, 3].map((byte) => 4 * place + byte)),
  );
}

/** The bytes of eight int16 of 0 to 255, the last ones of which are left out where they are 0. */
function int16s(values: readonly number[]): Code {
  return Array.from({ length: VECTOR / 2 }, (_, i) => [values[i] ?? 0, 0]).flat();
}

const ZERO = v128.splatI32(i32.const(0));
