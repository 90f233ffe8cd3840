import type { Size } from '#core/geometry.ts';
import { type KernelModule, newMemory, type WasmMemory } from './wasm.ts';

const PAGE_BYTES = 65536;
/** More than that is not kept for the next picture. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** Vectors lie at multiples of their size. */
const VECTOR_BYTES = 16;
/** What kernels may read or write behind what is their own. */
const MARGIN_BYTES = 64;

/** A picture in the memory of the kernels: rows of uint8 RGB, `stride` bytes apart, the first of them at `at`. */
export interface Lines extends Size {
  readonly memory: KernelMemory;
  readonly at: number;
  readonly stride: number;
}

/** The memory that all kernels work in, so that what one of them made needs no copy for the next. */
export class KernelMemory {
  readonly #memory: WasmMemory = newMemory();
  readonly #kernels = new Map<object, unknown>();
  #views: Views;
  #end = 0;

  constructor() {
    this.#views = viewsOf(this.#memory.buffer);
  }

  /** They are others once room was taken. */
  get views(): Views {
    return this.#views;
  }

  /** The functions of a module, at work here. */
  kernel<Kernel>(module: KernelModule<Kernel>): Kernel {
    let kernel = this.#kernels.get(module);
    if (kernel === undefined) {
      kernel = module.instanceIn(this.#memory);
      this.#kernels.set(module, kernel);
    }
    return kernel as Kernel;
  }

  /** Room for something of the picture. */
  take(bytes: number): number {
    const at = this.#end;
    this.#end = this.#grown(at, bytes);
    return at;
  }

  /** Gives out room that is anybody's again as soon as somebody else takes any. */
  scratch(): (bytes: number) => number {
    let end = this.#end;
    return (bytes) => {
      const at = end;
      end = this.#grown(at, bytes);
      return at;
    };
  }

  /** @param pixels uint8 RGB `[heightPx, widthPx, 3]`. */
  load(pixels: Uint8Array, { widthPx, heightPx }: Size): Lines {
    const at = this.take(pixels.length);
    this.#views.bytes.set(pixels, at);
    return { memory: this, at, stride: 3 * widthPx, widthPx, heightPx };
  }

  clear(): void {
    this.#end = 0;
  }

  /** Sees to it that there is so much. @returns where other room may begin. */
  #grown(at: number, bytes: number): number {
    const end = Math.ceil((at + bytes + MARGIN_BYTES) / VECTOR_BYTES) * VECTOR_BYTES;
    const lacking = end - this.#views.bytes.length;
    if (lacking > 0) {
      this.#memory.grow(Math.ceil(lacking / PAGE_BYTES));
      this.#views = viewsOf(this.#memory.buffer);
    }
    return end;
  }
}

/** All of the memory, until it grows. */
export interface Views {
  readonly bytes: Uint8Array;
  readonly int16s: Int16Array;
  readonly int32s: Int32Array;
  readonly doubles: Float64Array;
}

function viewsOf(buffer: ArrayBuffer): Views {
  return {
    bytes: new Uint8Array(buffer),
    int16s: new Int16Array(buffer),
    int32s: new Int32Array(buffer),
    doubles: new Float64Array(buffer),
  };
}

let shared: KernelMemory | undefined;

/**
 * The memory for the next picture. There is one memory for all: the lines of the picture before are lost, so that nothing may wait
 * between the making of a picture's lines and their last use.
 */
export function emptyKernelMemory(): KernelMemory {
  // Large memory would stay with the process.
  if (shared === undefined || shared.views.bytes.length > KEPT_BYTES) shared = new KernelMemory();
  shared.clear();
  return shared;
}
