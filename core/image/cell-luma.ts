import { BT601_256THS } from '#core/image/bt601.ts';
import type { Lines, Views } from '#core/image/kernel-memory.ts';
import {
  type Code,
  call,
  i32,
  increase,
  KernelModule,
  type Local,
  repeatWhile,
  v128,
  type WasmFunction,
  wasmFunction,
  wasmModule,
  when,
  ZERO,
} from '#core/image/wasm.ts';

interface Kernel {
  /**
   * Adds the luma of rows of pixels to lines of cells. `pieces` has four int32 for each piece: the address of its first row, how many
   * pairs of rows it has, whether one is left (0 or 1), and the address of its cells. `columns` is how many bytes a row has.
   */
  add(
    pieces: number,
    count: number,
    stride: number,
    columns: number,
    sums: number,
    pixels: number,
    parts: number,
    cells: number,
  ): void;
}

const { red: RED, green: GREEN, blue: BLUE } = BT601_256THS;

/** Bytes of a vector, of a float64, of what is told of a cell's pixels, and of a piece. */
const VECTOR = 16;
const DOUBLE = 8;
const COUNTS = 8;
const PIECE = 16;
/** So many columns of bytes are added up at a time. */
const COLUMNS = 2 * VECTOR;
/** 128 rows of 255 are the most that signed 16 bits hold, and so many pixels the most of a cell whose luma 32 bits hold. */
const MAX_ROWS = 128;
const MAX_PIXELS = Math.floor(2 ** 31 / (255 * 256));

const MODULE = new KernelModule<Kernel>(() => wasmModule([sums(), cells(), add()]));
const [SUMS, CELLS] = [0, 1];

/**
 * Luma added up over `side` × `side` equal cells, whatever the size of the picture, in 256ths of a level: cells whose borders lie
 * between pixels have their share of those pixels.
 *
 * @param take gives room in the picture's memory.
 * @returns where float64 `[side, side]` lie there.
 */
export function cellLuma(picture: Lines, side: number, take: (bytes: number) => number): number {
  const { memory, widthPx, heightPx } = picture;
  // What is read behind a row counts for no column, and what is read behind a pixel for no cell.
  const columns = Math.ceil((3 * widthPx) / COLUMNS) * COLUMNS;
  const cells = take(2 * DOUBLE * side * side);
  const parts = take(2 * DOUBLE * side);
  const pixels = take(COUNTS * side);
  const sums = take(2 * columns + VECTOR);
  const rows = Math.max(1, Math.min(MAX_ROWS, Math.floor(MAX_PIXELS / Math.ceil(widthPx / side + 1))));
  const pieces = take(PIECE * (2 * side + Math.ceil(heightPx / rows)));
  const { doubles } = memory.views;
  doubles.fill(0, cells / DOUBLE, cells / DOUBLE + 2 * side * side);
  tellOfCells(memory.views, widthPx, side, parts, pixels);
  const count = tellOfPieces(picture, side, cells, pieces, rows);
  memory.kernel(MODULE).add(pieces, count, picture.stride, columns, sums, pixels, parts, side);
  shareCutRows(doubles, cells / DOUBLE, heightPx, side);
  return cells;
}

/** How many pixels each cell of a line has, as the kernel's `cells` reads it. */
function tellOfCells(
  { doubles, int32s }: Views,
  widthPx: number,
  cells: number,
  parts: number,
  pixels: number,
): void {
  let begin = 0;
  for (let cell = 0; cell < cells; cell++) {
    const border = ((cell + 1) * widthPx) / cells;
    const end = Math.floor(border);
    doubles[parts / DOUBLE + 2 * cell] = 1;
    doubles[parts / DOUBLE + 2 * cell + 1] = border - end;
    int32s[pixels / 4 + 2 * cell] = (end - begin) >> 1;
    int32s[pixels / 4 + 2 * cell + 1] = (end - begin) & 1;
    begin = end;
  }
}

/**
 * The rows of each line of cells, as the kernel's `add` reads them. A row that a border cuts is added to the cells below it, and to a line
 * for itself behind all cells. No piece has more than `maxRows`.
 *
 * @returns how many pieces they are.
 */
function tellOfPieces(
  { memory, at, stride, heightPx }: Lines,
  side: number,
  cells: number,
  pieces: number,
  maxRows: number,
): number {
  const { int32s } = memory.views;
  let to = pieces / 4;
  const add = (from: number, until: number, line: number): void => {
    for (let row = from; row < until; row += maxRows, to += PIECE / 4) {
      const rows = Math.min(maxRows, until - row);
      int32s[to] = at + row * stride;
      int32s[to + 1] = rows >> 1;
      int32s[to + 2] = rows & 1;
      int32s[to + 3] = cells + line * side * DOUBLE;
    }
  };
  let begin = 0;
  for (let line = 0; line < side; line++) {
    const border = ((line + 1) * heightPx) / side;
    const end = Math.floor(border);
    add(begin, end, line);
    if (border > end) add(end, end + 1, side + line);
    begin = end;
  }
  return (to - pieces / 4) / (PIECE / 4);
}

/** Gives each line of cells its part of the row that its border cuts, and takes that off the next one. */
function shareCutRows(doubles: Float64Array, cells: number, heightPx: number, side: number): void {
  for (let line = 0; line < side; line++) {
    const border = ((line + 1) * heightPx) / side;
    const part = border - Math.floor(border);
    if (part === 0) continue;
    const from = cells + line * side;
    for (let i = from; i < from + side; i++) {
      const cut = part * (doubles[i + side * side] as number);
      doubles[i] = (doubles[i] as number) + cut;
      doubles[i + side] = (doubles[i + side] as number) - cut;
    }
  }
}

function add(): WasmFunction {
  return wasmFunction('add', 8, { integers: 0, vectors: 0 }, (parameters) => {
    const [piece, left, stride, columns, sums, pixels, parts, cells] = parameters;
    const field = (place: number): Code => i32.load(piece.get, 4 * place);
    return repeatWhile(
      [
        ...call(SUMS, field(0), stride.get, sums.get, columns.get, field(1), field(2)),
        ...call(CELLS, sums.get, pixels.get, parts.get, field(3), cells.get),
        ...increase(piece, PIECE),
        ...increase(left, -1),
      ],
      left.get,
    );
  });
}

/** Adds up rows of bytes: int16 sums of each column. */
function sums(): WasmFunction {
  return wasmFunction(
    'sums',
    6,
    { integers: 2, vectors: 2 + COLUMNS / 8 },
    (parameters, integers, vectors) => {
      const [source, stride, target, columns, pairs, single] = parameters;
      const [at, left] = integers;
      const [upper, lower, ...ofColumns] = vectors as [Local, Local, ...Local[]];
      const below = i32.add(at.get, stride.get);
      /** Bytes of two rows are laid beside each other, so that they are added in pairs. */
      const addPair = (sum: Local, half: number): Code => {
        const pairs = v128.interleave(upper.get, lower.get, 8 * half);
        return sum.set(v128.addI16(sum.get, v128.addPairsU8(pairs)));
      };
      const pair = [
        ...ofColumns.flatMap((sum, i) => {
          const offset = (i >> 1) * VECTOR;
          const loaded = [...upper.set(v128.load(at.get, offset)), ...lower.set(v128.load(below, offset))];
          return [...(i % 2 === 0 ? loaded : []), ...addPair(sum, i % 2)];
        }),
        ...at.set(i32.add(below, stride.get)),
        ...increase(left, -1),
      ];
      const row = ofColumns.flatMap((sum, i) => {
        const extend = i % 2 === 0 ? v128.extendLowU8 : v128.extendHighU8;
        return sum.set(v128.addI16(sum.get, extend(v128.load(at.get, (i >> 1) * VECTOR))));
      });
      return repeatWhile(
        [
          ...at.set(source.get),
          ...left.set(pairs.get),
          ...ofColumns.flatMap((sum) => sum.set(ZERO)),
          ...when(left.get, repeatWhile(pair, left.get)),
          ...when(single.get, row),
          ...ofColumns.flatMap((sum, i) => v128.store(target.get, sum.get, i * VECTOR)),
          ...increase(source, COLUMNS),
          ...increase(target, 2 * COLUMNS),
          ...increase(columns, -COLUMNS),
        ],
        columns.get,
      );
    },
  );
}

/**
 * Adds the luma of int16 RGB to float64 cells. `pixels` has two int32 for each cell: how many pairs of pixels it has, and how many (0
 * or 1) are left; `parts` two float64: 1, and how much of the pixel behind belongs to it.
 */
function cells(): WasmFunction {
  return wasmFunction('cells', 5, { integers: 1, vectors: 4 }, (parameters, integers, vectors) => {
    const [source, pixels, parts, target, left] = parameters;
    const [pairsLeft] = integers;
    const [sum, cut, shares, before] = vectors;
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
