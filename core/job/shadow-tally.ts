import type { AuditRecord } from '#core/audit-record.ts';
import { rowName } from '#core/image-ref.ts';
import type { PlannedStage } from '#core/plan.ts';
import { decide, type Measures, type Policy, policyHash } from '#core/policy.ts';
import type { ShadowTotals } from '#core/summary.ts';

/** Flipped images listed in the summary; the audit table has all of them. */
const MAX_FLIPPED_LISTED = 100;

/** What a stage's shadow would have decided, beside what its model did. */
export class ShadowTally {
  readonly #stage: string;
  readonly #shadow: NonNullable<PlannedStage['shadow']>;
  readonly #policy: Policy;
  readonly #flips = new Map<string, number>();
  readonly #flipped: ShadowTotals['flipped'] = [];
  #compared = 0;
  #agreed = 0;
  #failed = 0;
  #failure: string | null = null;

  /** @param policy what would decide if the shadow were the stage's model. */
  constructor(stage: string, shadow: NonNullable<PlannedStage['shadow']>, policy: Policy) {
    this.#stage = stage;
    this.#shadow = shadow;
    this.#policy = policy;
  }

  /**
   * The record with the shadow's verdict, which is counted.
   *
   * @param verdict of the stage's model by itself. @param measures of the image, without scores.
   */
  judged(record: AuditRecord, verdict: string, measures: Measures): AuditRecord {
    if (record.shadow === undefined) return record;
    const { scores, error } = record.shadow;
    if (error !== null) {
      this.#failed++;
      this.#failure ??= error;
      return record;
    }
    const other = decide(this.#policy, { ...measures, ...scores }).verdict;
    this.#compared++;
    if (other === verdict) this.#agreed++;
    else {
      const flip = `${verdict} → ${other}`;
      this.#flips.set(flip, (this.#flips.get(flip) ?? 0) + 1);
      if (this.#flipped.length < MAX_FLIPPED_LISTED)
        this.#flipped.push({ row: rowName(record), verdict, shadow: other });
    }
    return { ...record, shadow: { ...record.shadow, verdict: other } };
  }

  totals(): ShadowTotals {
    const { model, modelSha256 } = this.#shadow;
    return {
      stage: this.#stage,
      model,
      modelSha256,
      policyHash: policyHash(this.#policy),
      policy: this.#policy,
      compared: this.#compared,
      agreed: this.#agreed,
      failed: this.#failed,
      failure: this.#failure,
      flips: Object.fromEntries([...this.#flips].sort(([, a], [, b]) => b - a)),
      flipped: this.#flipped,
    };
  }
}
