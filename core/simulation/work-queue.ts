import type { EventQueue } from './event-queue.ts';

/**
 * A queue of packs as SQS keeps one: what waits, and what a receiver has in hand (in flight). It counts images, which
 * are whole where packs are cut off at a job's end.
 */
export class WorkQueue {
  readonly #events: EventQueue;
  readonly #packSize: number;
  readonly #inFlightLimit: number;
  #waiting = 0;
  #inFlight = 0;
  #peakInFlight = 0;
  #imageSeconds = 0;
  #sinceS = 0;

  /** @param inFlightLimit in messages: SQS hands out no more than that at a time. */
  constructor(events: EventQueue, packSize: number, inFlightLimit: number) {
    this.#events = events;
    this.#packSize = packSize;
    this.#inFlightLimit = inFlightLimit * packSize;
  }

  /** Images that wait to be received. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Packs, waiting or in flight. */
  get backlogPacks(): number {
    return (this.#waiting + this.#inFlight) / this.#packSize;
  }

  get peakInFlightPacks(): number {
    return this.#peakInFlight / this.#packSize;
  }

  /** How long packs lay in the store so far, summed over their images. */
  get imageSeconds(): number {
    this.#reckon();
    return this.#imageSeconds;
  }

  send(images: number): void {
    this.#reckon();
    this.#waiting += images;
  }

  /** Takes up to so many images into the receiver's hand. @returns how many there were. */
  receive(images: number): number {
    const taken = Math.max(0, Math.min(images, this.#waiting, this.#inFlightLimit - this.#inFlight));
    this.#waiting -= taken;
    this.#inFlight += taken;
    this.#peakInFlight = Math.max(this.#peakInFlight, this.#inFlight);
    return taken;
  }

  /** They are done. */
  acknowledge(images: number): void {
    this.#reckon();
    this.#inFlight -= images;
  }

  /** They were received and not done: others may receive them. */
  giveBack(images: number): void {
    this.#inFlight -= images;
    this.#waiting += images;
  }

  #reckon(): void {
    const nowS = this.#events.nowS;
    this.#imageSeconds += (this.#waiting + this.#inFlight) * (nowS - this.#sinceS);
    this.#sinceS = nowS;
  }
}
