import { messageOf } from '#core/error.ts';
import type { TensorData } from '#core/ports/engine.ts';
import { isPageLocked, pageLockedMemory } from './cuda-driver.ts';

/** Page-locked memory for the inputs of one session, the same for every run. */
export class StagingMemory {
  readonly #byInput: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** Why there is none; batches are then copied by the processor. */
  readonly missing: string | undefined;

  /** @param bytes that each input takes at most, by its name. */
  constructor(deviceId: number, bytes: Readonly<Record<string, number>>) {
    const memory = new Map<string, Uint8Array<ArrayBuffer>>();
    try {
      for (const [name, size] of Object.entries(bytes)) memory.set(name, pageLockedMemory(deviceId, size));
    } catch (error) {
      memory.clear();
      this.missing = `no page-locked memory: ${messageOf(error)}`;
    }
    this.#byInput = memory;
  }

  /** Where a run's input is to be put together; `undefined` where it may stay as it lies, or there is no such memory. */
  take(input: string, bytes: number, lies: readonly TensorData[]): Uint8Array<ArrayBuffer> | undefined {
    const memory = this.#byInput.get(input);
    const [only] = lies;
    const isThere = lies.length === 1 && only?.byteLength === bytes && isPageLocked(only);
    return memory === undefined || isThere || bytes > memory.length ? undefined : memory.subarray(0, bytes);
  }
}
