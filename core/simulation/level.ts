/** A number that changes in steps, with its integral over time: busy workers and busy worker seconds. */
export class Level {
  #value = 0;
  #peak = 0;
  #area = 0;
  #sinceS = 0;

  get value(): number {
    return this.#value;
  }

  get peak(): number {
    return this.#peak;
  }

  add(change: number, nowS: number): void {
    this.#area += this.#value * (nowS - this.#sinceS);
    this.#sinceS = nowS;
    this.#value += change;
    this.#peak = Math.max(this.#peak, this.#value);
  }

  /** The integral from 0 to `nowS`. */
  area(nowS: number): number {
    return this.#area + this.#value * (nowS - this.#sinceS);
  }
}
