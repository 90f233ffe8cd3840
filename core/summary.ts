import { z } from 'zod';
import type { AuditRecord } from './audit-record.ts';
import { SluiceError } from './error.ts';
import { ModelReceipt } from './model-receipt.ts';
import { type Plan, type PlannedStage, plannedImages, SourceProblem } from './plan.ts';
import { Policy } from './policy.ts';
import { REFUSAL_CODES } from './refusal.ts';

const Count = z.int().min(0);

/** A stage in numbers: planned = audited + unreadable + failed. */
export const StageTotals = z.strictObject({
  stage: z.string(),
  ...ModelReceipt.shape,
  planned: Count,
  audited: Count,
  unreadable: Count,
  failed: Count,
});
export type StageTotals = z.infer<typeof StageTotals>;

/** Failed images listed by key in the summary; the audit table has all of them. */
const MAX_FAILED_LISTED = 1000;

/** What a stage's shadow would have decided: where it agrees with the stage's model, and where it does not. */
export const ShadowTotals = z.strictObject({
  stage: z.string(),
  model: z.string(),
  modelSha256: z.string(),
  policyHash: z.string(),
  /** Left out in those of earlier versions. */
  policy: Policy.optional(),
  /** Rows that both have judged. */
  compared: Count,
  agreed: Count,
  /** Rows of which the shadow made nothing, and the first reason. */
  failed: Count.default(0),
  failure: z.string().nullable().default(null),
  /** "pass → reject": so many. */
  flips: z.record(z.string(), Count),
  /** The first of them, by the names of their rows. */
  flipped: z.array(z.strictObject({ row: z.string(), verdict: z.string(), shadow: z.string() })),
});
export type ShadowTotals = z.infer<typeof ShadowTotals>;

/** `summary.json`: the job in numbers. */
export const Summary = z.strictObject({
  schema: z.literal(1),
  job: z.string(),
  source: z.string(),
  ...ModelReceipt.shape,
  policyHash: z.string(),
  policy: Policy,
  softwareVersion: z.string(),
  planned: Count,
  /** Of those, rows taken over from an earlier job. */
  carried: Count,
  audited: Count,
  unreadable: Count,
  failed: Count,
  /** Only of a cascade: each stage with what it saw. The numbers above are those of the first one. */
  stages: z.array(StageTotals.extend({ policyHash: z.string(), policy: Policy })).optional(),
  /** Only where stages have shadows. */
  shadows: z.array(ShadowTotals).optional(),
  verdicts: z.strictObject({ pass: Count, review: Count, reject: Count, unreadable: Count }),
  /** Images that each check of the policy flagged. */
  checks: z.record(z.string(), Count),
  /** Images refused with each code. */
  refusals: z.record(z.string(), Count),
  failedKeys: z.array(z.strictObject({ key: z.string(), reason: z.string() })),
  /** Manifest lines that named no image, and what of a folder could not be listed. */
  sourceProblems: z.array(SourceProblem),
  sourceProblemCount: Count,
  /** Images that may have had the same pixels as others, and how many of them were decoded whole to see. */
  compared: z.strictObject({ candidates: Count, images: Count }).optional(),
  /** The range of ordinary sizes, sqrt(width · height) in pixels; null when nothing was audited. */
  ordinarySizesPx: z.tuple([z.number(), z.number()]).nullable(),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  /** Wall-clock seconds of the run that finished the job, and the images it took through the pipeline each second. */
  seconds: z.number().min(0),
  imagesPerSecond: z.number().min(0),
  /** Of a run on one machine: images that it decoded or refused, and the processor time of its decoding processes. */
  decoding: z.strictObject({ images: Count, cpuSeconds: z.number().min(0) }).optional(),
  outputs: z.record(z.string(), z.string()),
});
export type Summary = z.infer<typeof Summary>;

/** Counts the rows of a job as they go by, and proves in the end that none is missing or doubled. */
export class JobTally {
  readonly #plan: Plan;
  readonly #states = { audited: 0, unreadable: 0, failed: 0 };
  readonly verdicts = { pass: 0, review: 0, reject: 0, unreadable: 0 };
  readonly checks: Record<string, number>;
  readonly #refusals = new Map<string, number>();
  readonly failedKeys: { key: string; reason: string }[] = [];

  constructor(plan: Plan, policy: Policy) {
    this.#plan = plan;
    this.checks = Object.fromEntries(policy.rules.map((rule) => [rule.check, 0]));
  }

  add(record: AuditRecord): void {
    this.#states[record.state]++;
    if (record.verdict !== null) this.verdicts[record.verdict]++;
    for (const check of record.checks) this.checks[check] = (this.checks[check] ?? 0) + 1;
    if (record.state === 'unreadable' && record.errorCode !== null) {
      this.#refusals.set(record.errorCode, (this.#refusals.get(record.errorCode) ?? 0) + 1);
    }
    if (record.state === 'failed' && this.failedKeys.length < MAX_FAILED_LISTED) {
      this.failedKeys.push({ key: record.key, reason: record.errorDetail ?? '' });
    }
  }

  /** Counts by refusal code, in the order of the closed list. */
  get refusals(): Record<string, number> {
    return Object.fromEntries(
      REFUSAL_CODES.flatMap((code) => {
        const count = this.#refusals.get(code);
        return count === undefined ? [] : [[code, count]];
      }),
    );
  }

  /**
   * planned = audited + unreadable + failed.
   *
   * @throws SluiceError `accounting-broken` where it does not hold: then the results must not be trusted.
   */
  totals(): { planned: number; audited: number; unreadable: number; failed: number } {
    const planned = plannedImages(this.#plan);
    checkAccounting(planned, this.#states, '');
    return { planned, ...this.#states };
  }
}

type States = Readonly<Record<AuditRecord['state'], number>>;

/** Counts the rows of a following stage. */
export class StageTally {
  readonly #stage: PlannedStage;
  readonly #states = { audited: 0, unreadable: 0, failed: 0 };

  constructor(stage: PlannedStage) {
    this.#stage = stage;
  }

  add(record: AuditRecord): void {
    this.#states[record.state]++;
  }

  /** @param planned what the parts of the stage before come to. @throws SluiceError `accounting-broken`. */
  totals(planned: number): StageTotals {
    checkAccounting(planned, this.#states, ` of stage "${this.#stage.name}"`);
    return stageTotals(this.#stage, { planned, ...this.#states });
  }
}

export function stageTotals(
  { name, model, modelSha256, originalSha256, preprocessHash, decodeHash }: PlannedStage,
  counts: States & { readonly planned: number },
): StageTotals {
  const { planned, audited, unreadable, failed } = counts;
  const made = { model, modelSha256, originalSha256, preprocessHash, decodeHash };
  return { stage: name, ...made, planned, audited, unreadable, failed };
}

function checkAccounting(planned: number, { audited, unreadable, failed }: States, where: string): void {
  const ended = audited + unreadable + failed;
  if (planned === ended) return;
  throw new SluiceError(
    'accounting-broken',
    `planned ${planned} images${where}, but audited ${audited} + unreadable ${unreadable} + failed ${failed} = ${ended}`,
  );
}
