import { ByteBudget } from './byte-budget.ts';

/** What a process asks for, and gives back: room for the decoded picture of one image. */
export type RoomEvent =
  | { readonly wantsRoom: { id: number; bytes: number } }
  | { readonly leavesRoom: number };

/** "There is room for it now." */
export interface RoomGranted {
  readonly roomFor: number;
}

/**
 * The memory for decoded pictures of all decoding processes, in two halves. One is divided among the images that can be in hand at once:
 * what fits into its share is decoded without asking. The other one is for those that do not, first come first served, and a single one
 * that is larger than all of it is let through alone. So together they take no more than both halves, or one and the largest picture.
 */
export class DecodingRoom {
  /** Of one image in hand. */
  readonly shareBytes: number;
  readonly #large: ByteBudget;

  constructor(maxBytes: number, imagesInHand: number) {
    this.shareBytes = maxBytes / 2 / imagesInHand;
    this.#large = new ByteBudget(maxBytes / 2);
  }

  /** The rooms of one process, for as long as it does one task. @param tell answers the process. */
  tenant(tell: (granted: RoomGranted) => void): { onEvent(event: RoomEvent): void } & Disposable {
    const held = new Map<number, Promise<() => void>>();
    const leave = (id: number): void => {
      // Also of one that is still waiting: it gives back what it gets.
      void held.get(id)?.then((release) => release());
      held.delete(id);
    };
    return {
      onEvent: (event) => {
        if ('leavesRoom' in event) return leave(event.leavesRoom);
        const { id, bytes } = event.wantsRoom;
        const taken = this.#large.take(bytes);
        held.set(id, taken);
        void taken.then(() => {
          if (held.has(id)) tell({ roomFor: id });
        });
      },
      [Symbol.dispose]: () => {
        for (const id of held.keys()) leave(id);
      },
    };
  }
}
