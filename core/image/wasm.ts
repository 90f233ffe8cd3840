/**
 * As much of an assembler for WebAssembly as the kernels of this folder need: each function gives the bytes of an
 * instruction behind those of its operands. Source of the codes: WebAssembly Core Specification 2.0, section 5.
 */
export type Code = readonly number[];

const I32 = 0x7f;
const V128 = 0x7b;

/** Unsigned LEB128. */
function unsigned(value: number): Code {
  const low = value & 0x7f;
  return value < 0x80 ? [low] : [low | 0x80, ...unsigned(value >>> 7)];
}

/** Signed LEB128. */
function signed(value: number): Code {
  const low = value & 0x7f;
  const isLast = value >= -0x40 && value < 0x40;
  return isLast ? [low] : [low | 0x80, ...signed(value >> 7)];
}

/** `align` 0: nothing is said of where the address lies. */
const memoryAt = (offset: number): Code => [0, ...unsigned(offset)];
const simd = (code: number, ...operands: Code[]): Code => [...operands.flat(), 0xfd, ...unsigned(code)];

/** A local variable of a function. */
export interface Local {
  readonly get: Code;
  readonly set: (value: Code) => Code;
}

const local = (index: number): Local => ({
  get: [0x20, ...unsigned(index)],
  set: (value) => [...value, 0x21, ...unsigned(index)],
});

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  load: (address: Code, offset: number): Code => [...address, 0x28, ...memoryAt(offset)],
  add: (a: Code, b: Code): Code => [...a, ...b, 0x6a],
  sub: (a: Code, b: Code): Code => [...a, ...b, 0x6b],
};

/** Vectors of 128 bits; the names say how they are read. */
export const v128 = {
  load: (address: Code, offset = 0): Code => [...simd(0x00, address), ...memoryAt(offset)],
  load32Splat: (address: Code, offset: number): Code => [...simd(0x09, address), ...memoryAt(offset)],
  load64Splat: (address: Code, offset: number): Code => [...simd(0x0a, address), ...memoryAt(offset)],
  load64Zero: (address: Code): Code => [...simd(0x5d, address), ...memoryAt(0)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...simd(0x0b, address, value),
    ...memoryAt(offset),
  ],
  store32Lane: (address: Code, value: Code, lane: number): Code => [
    ...simd(0x5a, address, value),
    ...memoryAt(0),
    lane,
  ],
  store64Lane: (address: Code, value: Code, lane: number, offset = 0): Code => [
    ...simd(0x5b, address, value),
    ...memoryAt(offset),
    lane,
  ],
  const: (bytes: Code): Code => [...simd(0x0c), ...bytes],
  /** Bytes of `a` (0 to 15) and `b` (16 to 31) by their places. */
  shuffle: (a: Code, b: Code, places: Code): Code => [...simd(0x0d, a, b), ...places],
  /** The bytes of `a` and `b` in turns, 8 of each from the `first` one on. */
  interleave: (a: Code, b: Code, first: number): Code =>
    v128.shuffle(
      a,
      b,
      Array.from({ length: 16 }, (_, i) => first + (i >> 1) + (i % 2) * 16),
    ),
  /** Bytes of `a` by their places; 0 where there is no such place. */
  swizzle: (a: Code, places: Code): Code => simd(0x0e, a, places),
  splatI32: (value: Code): Code => simd(0x11, value),
  /** Sums of neighbouring bytes, as int16. */
  addPairsU8: (a: Code): Code => simd(0x7d, a),
  narrowI16ToU8: (a: Code, b: Code): Code => simd(0x66, a, b),
  narrowI32ToI16: (a: Code, b: Code): Code => simd(0x85, a, b),
  extendLowU8: (a: Code): Code => simd(0x89, a),
  extendHighU8: (a: Code): Code => simd(0x8a, a),
  addI16: (a: Code, b: Code): Code => simd(0x8e, a, b),
  shiftLeftI32: (a: Code, bits: number): Code => simd(0xab, a, i32.const(bits)),
  shiftRightI32: (a: Code, bits: number): Code => simd(0xac, a, i32.const(bits)),
  addI32: (a: Code, b: Code): Code => simd(0xae, a, b),
  /** Products of int16, added in pairs to int32. */
  dotI16: (a: Code, b: Code): Code => simd(0xba, a, b),
  addF64: (a: Code, b: Code): Code => simd(0xf0, a, b),
  subF64: (a: Code, b: Code): Code => simd(0xf1, a, b),
  mulF64: (a: Code, b: Code): Code => simd(0xf2, a, b),
  /** The first two int32 as float64. */
  convertLowI32: (a: Code): Code => simd(0xfe, a),
};

export const ZERO = v128.splatI32(i32.const(0));

/** Copies so many bytes, in order. */
export const copyBytes = (target: Code, source: Code, bytes: Code): Code => [
  ...target,
  ...source,
  ...bytes,
  ...[0xfc, ...unsigned(10), 0, 0],
];

/** Calls a function of the same module, by its place there. */
export const call = (place: number, ...operands: Code[]): Code => [
  ...operands.flat(),
  0x10,
  ...unsigned(place),
];

/** Adds to a variable. */
export const increase = (variable: Local, by: number): Code =>
  variable.set(i32.add(variable.get, i32.const(by)));

/** Runs `body`, and again as long as `condition` is not 0 after it. */
export function repeatWhile(body: Code, condition: Code): Code {
  return [0x03, 0x40, ...body, ...condition, 0x0d, 0, 0x0b];
}

/** Runs `body` unless `condition` is 0. */
export function when(condition: Code, body: Code): Code {
  return [...condition, 0x04, 0x40, ...body, 0x0b];
}

/** A function of int32 parameters, without a result. */
export interface WasmFunction {
  readonly name: string;
  readonly parameters: number;
  readonly vectors: number;
  readonly integers: number;
  readonly body: Code;
}

/** So many variables; any number of them where it is not known when types are. */
type Locals<Count extends number, All extends Local[] = []> = number extends Count
  ? Local[]
  : All['length'] extends Count
    ? All
    : Locals<Count, [...All, Local]>;

/** Makes a function: `write` is given its parameters, and takes locals as it needs them. */
export function wasmFunction<P extends number, I extends number, V extends number>(
  name: string,
  parameters: P,
  locals: { readonly integers: I; readonly vectors: V },
  write: (parameters: Locals<P>, integers: Locals<I>, vectors: Locals<V>) => Code,
): WasmFunction {
  const from = <Count extends number>(first: number, count: Count): Locals<Count> =>
    Array.from({ length: count }, (_, i) => local(first + i)) as Locals<Count>;
  const body = write(
    from(0, parameters),
    from(parameters, locals.integers),
    from(parameters + locals.integers, locals.vectors),
  );
  return { name, parameters, ...locals, body };
}

/** The bytes of a module that exports the functions, and imports its memory as `env.memory`. */
export function wasmModule(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const text = (value: string): Code => list([...new TextEncoder().encode(value)].map((byte) => [byte]));
  const type = ({ parameters }: WasmFunction): Code => [
    0x60,
    ...list(Array.from({ length: parameters }, () => [I32])),
    0,
  ];
  const code = ({ integers, vectors, body }: WasmFunction): Code => {
    const locals = list([
      [...unsigned(integers), I32],
      [...unsigned(vectors), V128],
    ]);
    return sized([...locals, ...body, 0x0b]);
  };
  const section = (id: number, items: readonly Code[]): Code => [id, ...sized(list(items))];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, functions.map(type)),
    ...section(2, [[...text('env'), ...text('memory'), 2, 0, 1]]),
    ...section(
      3,
      functions.map((_, i) => unsigned(i)),
    ),
    ...section(
      7,
      functions.map(({ name }, i) => [...text(name), 0, ...unsigned(i)]),
    ),
    ...section(10, functions.map(code)),
  ]);
}

const list = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()];
const sized = (bytes: Code): Code => [...unsigned(bytes.length), ...bytes];

/** The part of WebAssembly that is used here: the types of Node.js leave its values out. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
interface WebAssemblyApi {
  readonly Memory: new (size: { initial: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
}

const wasm = (): WebAssemblyApi => (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly;

/** Memory of one page of 64 KiB. */
export function newMemory(): WasmMemory {
  return new (wasm().Memory)({ initial: 1 });
}

/** The functions of a module, which is compiled when the first instance of it is made. */
export class KernelModule<Kernel> {
  readonly #bytes: () => Uint8Array<ArrayBuffer>;
  #compiled: object | undefined;

  /** @param bytes what {@link wasmModule} makes. */
  constructor(bytes: () => Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  /** The functions, at work in this memory. */
  instanceIn(memory: WasmMemory): Kernel {
    const { Module, Instance } = wasm();
    this.#compiled ??= new Module(this.#bytes());
    return new Instance(this.#compiled, { env: { memory } }).exports as Kernel;
  }
}
