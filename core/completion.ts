import { z } from 'zod';
import { sha256Hex } from './canonical-json.ts';
import { StageTotals } from './summary.ts';
import { JobUsage } from './usage.ts';

const Count = z.int().min(0);
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** One file of the compacted audit table. */
export const TableFile = z.strictObject({ key: z.string(), rows: Count, bytes: Count, sha256: Sha256 });
export type TableFile = z.infer<typeof TableFile>;

/**
 * The proof that a job is complete, written last of all: one terminal state for each planned image, the digest of the
 * parts that the results were made from, and the files of the results with theirs. `sluice verify` checks it.
 */
export const Completion = z.strictObject({
  schema: z.literal(1),
  job: z.string(),
  /** What this job has in common with those that may build on it. */
  series: z.string(),
  plannedAt: z.iso.datetime(),
  completedAt: z.iso.datetime(),
  modelSha256: z.string(),
  preprocessHash: z.string(),
  /** Empty in those of earlier versions, on which no job builds. */
  decodeHash: z.string().default(''),
  policyHash: z.string(),
  scores: z.array(z.string()),
  planned: Count,
  /** Of those, rows taken over from an earlier job, because nothing about their images has changed. */
  carried: Count,
  audited: Count,
  unreadable: Count,
  failed: Count,
  /** Only of a cascade; its rows follow on those of the images, stage by stage. */
  stages: z.array(StageTotals).optional(),
  /** Parts in plan order, stage by stage; see {@link PartsDigest}. */
  parts: z.strictObject({ count: Count, digest: Sha256 }),
  tables: z.array(TableFile),
  /** What the job has consumed, added up over its plan, its parts and its completion. */
  usage: JobUsage.optional(),
});
export type Completion = z.infer<typeof Completion>;

/** SHA-256 over one line per expected part, in plan order: its key and the SHA-256 of its bytes, or "failed". */
export class PartsDigest {
  readonly #lines: string[] = [];

  add(key: string, part: Uint8Array | undefined): void {
    this.#lines.push(`${key} ${part === undefined ? 'failed' : sha256Hex(part)}\n`);
  }

  finish(): Completion['parts'] {
    return { count: this.#lines.length, digest: sha256Hex(this.#lines.join('')) };
  }
}
