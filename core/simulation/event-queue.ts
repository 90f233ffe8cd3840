interface Event {
  readonly atS: number;
  /** Events of the same time happen in the order in which they were set. */
  readonly order: number;
  readonly happen: () => void;
}

/** The clock of a simulation: what is to happen, by time, in a binary heap. Time is in seconds from 0. */
export class EventQueue {
  readonly #heap: Event[] = [];
  #order = 0;
  #nowS = 0;

  get nowS(): number {
    return this.#nowS;
  }

  /** How many events have been set so far. */
  get count(): number {
    return this.#order;
  }

  in(delayS: number, happen: () => void): void {
    if (!(delayS >= 0)) throw new RangeError(`expected a delay of 0 s or more, got ${delayS}`);
    const event = { atS: this.#nowS + delayS, order: this.#order++, happen };
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  /** Lets the next event happen. @returns false when there is none. */
  next(): boolean {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return false;
    if (heap.length > 0) this.#sink(last);
    this.#nowS = first.atS;
    first.happen();
    return true;
  }

  /** Puts an event where the first one was, and lower until what is below comes later. */
  #sink(event: Event): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!isBefore(heap[child] as Event, event)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = event;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atS < b.atS || (a.atS === b.atS && a.order < b.order);
}
