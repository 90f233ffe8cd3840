import { createHash } from 'node:crypto';
import { tableRows } from '#adapters/parquet-table.ts';
import type { Completion } from '#core/completion.ts';
import type { PlannedStage } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { PASSING_REFUSALS } from '#core/refusal.ts';

/**
 * The rows of a completed job by the key and etag of their images, in 12 bytes a row: an open-addressing table of
 * 64-bit hashes. Of ten million images against ten million rows, one is taken for another with a chance of 5 in a
 * million (n·m / 2⁶⁴).
 */
export class BaseIndex {
  readonly rows: number;
  readonly #hashes: BigUint64Array;
  readonly #places: Uint32Array;
  readonly #mask: number;

  private constructor(rows: number) {
    this.rows = rows;
    const slots = 2 ** Math.ceil(Math.log2(Math.max(2, rows * 1.5)));
    this.#hashes = new BigUint64Array(slots);
    this.#places = new Uint32Array(slots);
    this.#mask = slots - 1;
  }

  /**
   * Reads a completed job's table. What would not come out the same today is not in it: images that failed or were refused
   * for a reason that passes, and rows whose receipts name another model, preprocess spec or way of reading outputs than the stage's, as those of a
   * job have during which the model was changed.
   */
  static async read(base: Pick<Completion, 'tables'>, stage: MadeBy, works: ObjectStore): Promise<BaseIndex> {
    const index = new BaseIndex(base.tables.reduce((sum, table) => sum + table.rows, 0));
    let place = 0;
    for (const { key } of base.tables) {
      const { body } = await works.get(key);
      for (const row of await tableRows(body, COLUMNS)) {
        if (holdsFor(row, stage)) index.#add(String(row['key']), String(row['etag']), place);
        place++;
      }
    }
    return index;
  }

  /** The place of the image's row in the table, if it has one and is the same as then. */
  placeOf(key: string, etag: string): number | undefined {
    if (etag === '') return undefined;
    const hash = hashOf(key, etag);
    for (let slot = Number(hash & 0xffff_ffffn) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const found = this.#hashes[slot];
      if (found === 0n) return undefined;
      if (found === hash) return this.#places[slot];
    }
  }

  #add(key: string, etag: string, place: number): void {
    const hash = hashOf(key, etag);
    let slot = Number(hash & 0xffff_ffffn) & this.#mask;
    while (this.#hashes[slot] !== 0n) slot = (slot + 1) & this.#mask;
    this.#hashes[slot] = hash;
    this.#places[slot] = place;
  }
}

/** What rows must have been made by. */
type MadeBy = Pick<PlannedStage, 'modelSha256' | 'preprocessHash' | 'decodeHash'>;

const COLUMNS = ['key', 'etag', 'state', 'error_code', 'model_sha256', 'preprocess_hash', 'decode_hash'];

function holdsFor(
  row: Readonly<Record<string, unknown>>,
  { modelSha256, preprocessHash, decodeHash }: MadeBy,
): boolean {
  if (row['state'] === 'failed' || PASSING_REFUSALS.has(String(row['error_code']))) return false;
  return (
    row['model_sha256'] === modelSha256 &&
    row['preprocess_hash'] === preprocessHash &&
    row['decode_hash'] === decodeHash
  );
}

/** Never 0, which stands for an empty slot. */
function hashOf(key: string, etag: string): bigint {
  const hash = createHash('sha256').update(key).update('\0').update(etag).digest().readBigUInt64LE(0);
  return hash === 0n ? 1n : hash;
}
