import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { RoomEvent, RoomGranted } from './decoding-room.ts';

setFlagsFromString('--expose-gc');
/** A picture that nobody needs any more is memory until it is collected: some milliseconds, against what it took to decode it. */
const collectGarbage = runInNewContext('gc') as () => void;

/** The side of a decoding process: waits for room before a picture is decoded. */
export class RoomSeeker {
  readonly #shareBytes: number;
  readonly #waiting = new Map<number, () => void>();
  #nextId = 0;

  constructor(shareBytes: number) {
    this.#shareBytes = shareBytes;
  }

  /** @param emit sends an event of the task. @returns gives the room back. */
  async take(bytes: number, emit: (event: RoomEvent) => void): Promise<() => void> {
    if (bytes <= this.#shareBytes) return () => undefined;
    const id = this.#nextId++;
    await new Promise<void>((admit) => {
      this.#waiting.set(id, admit);
      emit({ wantsRoom: { id, bytes } });
    });
    return () => {
      collectGarbage();
      // What has an end of its own (a picture that native code made) is given back after it.
      setImmediate(() => emit({ leavesRoom: id }));
    };
  }

  onGranted({ roomFor }: RoomGranted): void {
    this.#waiting.get(roomFor)?.();
    this.#waiting.delete(roomFor);
  }
}
