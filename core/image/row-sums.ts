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
} from '#core/image/wasm.ts';

interface Kernel {
  /** Adds up rows of bytes: int16 sums of each column, 16 columns at a time. Addresses and lengths in bytes. */
  sums(source: number, stride: number, target: number, columns: number, rows: number): void;
}

const LANES = 16;
const PAGE_BYTES = 65536;
/** 257 rows of 255 are the most that 16 bits hold. */
const MAX_ROWS = 256;
/** Rows that are copied in at once, so that they are added up while they lie in the processor's cache. */
const STRIP_BYTES = 64 * 1024;

/**
 * Adds up whole rows of a picture, column by column, 16 bytes at a time: a strip of rows after the other.
 *
 * @param pixels uint8 `[rows, rowBytes]`, of which the rows `from` to `until` (exclusive) are added.
 * @param use is called with the exact sums of each strip, uint16 `[rowBytes]`, which are valid until it returns.
 */
export function sumRows(
  pixels: Uint8Array,
  rowBytes: number,
  from: number,
  until: number,
  use: (sums: Uint16Array) => void,
): void {
  const columns = Math.ceil(rowBytes / LANES) * LANES;
  const rowsAtOnce = Math.min(MAX_ROWS, Math.max(1, Math.floor(STRIP_BYTES / rowBytes)));
  // The sums lie first, the rows behind them. What is read behind the last row counts for no column.
  const { kernel, bytes, sums } = instanceOf(2 * columns + rowsAtOnce * rowBytes + LANES);
  for (let row = from; row < until; row += rowsAtOnce) {
    const rows = Math.min(rowsAtOnce, until - row);
    bytes.set(pixels.subarray(row * rowBytes, (row + rows) * rowBytes), 2 * columns);
    kernel.sums(2 * columns, rowBytes, 0, columns, rows);
    use(sums);
  }
}

interface Instance {
  readonly kernel: Kernel;
  readonly memory: WasmMemory;
  /** All of its memory, as bytes and as sums. */
  readonly bytes: Uint8Array;
  readonly sums: Uint16Array;
}

let shared: Instance | undefined;

function instanceOf(bytes: number): Instance {
  if (shared === undefined || shared.bytes.length < bytes) {
    const { kernel, memory } = shared ?? compiled<Kernel>(kernelModule())(1);
    const lacking = bytes - memory.buffer.byteLength;
    if (lacking > 0) memory.grow(Math.ceil(lacking / PAGE_BYTES));
    shared = { kernel, memory, bytes: new Uint8Array(memory.buffer), sums: new Uint16Array(memory.buffer) };
  }
  return shared;
}

function kernelModule(): Uint8Array<ArrayBuffer> {
  const sums = wasmFunction('sums', 5, { integers: 2, vectors: 3 }, (parameters, integers, vectors) => {
    const [source, stride, target, columns, rows] = parameters as [Local, Local, Local, Local, Local];
    const [at, left] = integers as [Local, Local];
    const [low, high, bytes] = vectors as [Local, Local, Local];
    const zero = v128.splatI32(i32.const(0));
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
        ...low.set(zero),
        ...high.set(zero),
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
  return wasmModule([sums]);
}
