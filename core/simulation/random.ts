/**
 * Random numbers that are the same for the same seed, on every machine. The generator is mulberry32 (Tommy Ettinger,
 * public domain): 32 bits of state, plenty for the some million draws of a simulation.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Evenly in [0, 1). */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Time until something that happens `rate` times a unit of time on average; never, for a rate of 0. */
  exponential(rate: number): number {
    return rate > 0 ? -Math.log(1 - this.uniform()) / rate : Number.POSITIVE_INFINITY;
  }

  /**
   * A factor around 1: log-normal with mean 1 and this standard deviation. Service times are so: never below zero, and
   * with a longer end above.
   */
  factor(deviation: number): number {
    if (deviation <= 0) return 1;
    const sigma2 = Math.log(1 + deviation ** 2);
    return Math.exp(Math.sqrt(sigma2) * this.#normal() - sigma2 / 2);
  }

  /** Box and Muller's transform. */
  #normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
}
