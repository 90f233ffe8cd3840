/** A set of row numbers as a bit map: a bit for each row, the lowest bit of the first byte for row 0. */
export class RowSet {
  readonly bytes: Uint8Array;
  #count: number;

  /** @param bytes what an earlier set's `bytes` were, or nothing in it yet. */
  constructor(rows: number, bytes: Uint8Array = new Uint8Array(Math.ceil(rows / 8))) {
    this.bytes = bytes;
    this.#count = 0;
    for (const byte of bytes) for (let bits = byte; bits !== 0; bits &= bits - 1) this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  has(row: number): boolean {
    return ((this.bytes[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
  }

  add(row: number): void {
    if (this.has(row)) return;
    this.bytes[row >> 3] = (this.bytes[row >> 3] ?? 0) | (1 << (row & 7));
    this.#count++;
  }
}
