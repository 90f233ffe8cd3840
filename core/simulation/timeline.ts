import type { Usage } from '#core/cost/bill.ts';

/** The pipeline at one moment. */
export interface Sample {
  readonly atS: number;
  /** Packs, waiting or in flight. */
  readonly backlogPacks: number;
  readonly shards: number;
  readonly invocations: number;
  /** Machines that are paid for, and those of them that have loaded the model. */
  readonly workers: number;
  readonly ready: number;
  /** Of the ready ones' time since the last sample, the share in which they worked; 0 where none is ready. */
  readonly utilisation: number;
  /** Since the last sample. */
  readonly preprocessedPerSecond: number;
  readonly inferredPerSecond: number;
  readonly inferred: number;
  readonly usage: Usage;
}

/** What a sample is made of: totals up to its moment. */
export interface Totals extends Omit<Sample, 'utilisation' | 'preprocessedPerSecond' | 'inferredPerSecond'> {
  readonly preprocessed: number;
  readonly readySeconds: number;
  readonly busySeconds: number;
}

const FIRST_INTERVAL_S = 1;
const MAX_SAMPLES = 600;

/** A few hundred samples of a simulation, however long: when there are too many, every other one goes. */
export class Timeline {
  #totals: Totals[] = [];
  #intervalS = FIRST_INTERVAL_S;

  /** Seconds until the next sample. */
  get intervalS(): number {
    return this.#intervalS;
  }

  add(totals: Totals): void {
    this.#totals.push(totals);
    if (this.#totals.length < MAX_SAMPLES) return;
    this.#totals = this.#totals.filter((_, i) => i % 2 === 0);
    this.#intervalS *= 2;
  }

  samples(): Sample[] {
    return this.#totals.map((totals, i) => {
      const { preprocessed, readySeconds, busySeconds, ...rest } = totals;
      const before = this.#totals[i - 1];
      const seconds = totals.atS - (before?.atS ?? 0);
      const ready = readySeconds - (before?.readySeconds ?? 0);
      const rate = (now: number, then: number): number => (seconds > 0 ? (now - then) / seconds : 0);
      return {
        ...rest,
        utilisation: ready > 0 ? (busySeconds - (before?.busySeconds ?? 0)) / ready : 0,
        preprocessedPerSecond: rate(preprocessed, before?.preprocessed ?? 0),
        inferredPerSecond: rate(totals.inferred, before?.inferred ?? 0),
      };
    });
  }
}
