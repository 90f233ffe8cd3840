import type { Usage } from '#core/usage.ts';

/** What time is added to. */
interface Timed {
  add(more: Partial<Usage>): void;
}

/** Each millisecond belongs to what was under way in it, in equal shares; to the invocation, where nothing was. */
export class SharedClock {
  readonly #children = new Map<Timed, Timed | undefined>();
  readonly #now: () => number;
  #sinceMs: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#sinceMs = now();
  }

  begin(tally: Timed, parent: Timed | undefined): void {
    this.settle();
    this.#children.set(tally, parent);
  }

  end(tally: Timed): void {
    this.settle();
    this.#children.delete(tally);
  }

  settle(): void {
    const now = this.#now();
    const parents = new Set(this.#children.values());
    const busy = [...this.#children.keys()].filter((tally) => !parents.has(tally));
    for (const tally of busy) tally.add({ ms: { function: (now - this.#sinceMs) / busy.length } });
    this.#sinceMs = now;
  }
}
