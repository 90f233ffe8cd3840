import type { AuditRecord } from '#core/audit-record.ts';
import { type Decision, decide, graver, type Measures, measuresOf } from '#core/policy.ts';
import type { JobRules } from '#core/stages.ts';

/** What the stages that follow on the first one saw in one image. */
interface Seen {
  verdict: Decision['verdict'];
  readonly checks: Set<string>;
  /** How often it was judged: once for each piece of it, or once. */
  count: number;
  /** The highest of each score that the rules speak of. */
  readonly scores: Record<string, number>;
  /** Pieces that were handed on and could not be judged. */
  unjudged: number;
}

/**
 * The verdicts of a cascade's images. Add every judged row of the following stages, then ask for each image.
 *
 * An image of which a piece could not be judged is at least `review`, whatever the rules: nobody has seen it whole.
 */
export class StageVerdicts {
  readonly #rules: JobRules;
  readonly #first: string;
  readonly #stages: readonly string[];
  readonly #wanted: ReadonlySet<string>;
  readonly #seen = new Map<string, Map<string, Seen>>();

  /** @param stages all of them by name, in the plan's order. */
  constructor(rules: JobRules, stages: readonly [string, ...string[]]) {
    this.#rules = rules;
    [this.#first] = stages;
    this.#stages = stages.slice(1);
    this.#wanted = new Set(rules.cascade?.verdict === 'rules' ? measuresOf(rules.policy) : []);
  }

  add(record: AuditRecord): void {
    const { stage } = record.receipt;
    const ofImage = this.#seen.get(record.key) ?? new Map<string, Seen>();
    this.#seen.set(record.key, ofImage);
    const seen = ofImage.get(stage) ?? {
      verdict: 'pass',
      checks: new Set(),
      count: 0,
      scores: {},
      unjudged: 0,
    };
    ofImage.set(stage, seen);
    if (record.state !== 'audited' || record.verdict === null || record.verdict === 'unreadable') {
      seen.unjudged++;
      return;
    }
    seen.count++;
    seen.verdict = graver(seen.verdict, record.verdict);
    for (const check of record.checks) seen.checks.add(check);
    for (const [name, score] of Object.entries(record.scores)) {
      if (this.#wanted.has(`${stage}.${name}`))
        seen.scores[name] = Math.max(score, seen.scores[name] ?? -Infinity);
    }
  }

  /** The verdict of an image from its own decision at the first stage and its measures, and from what the others saw. */
  decide(key: string, own: Decision, measures: Measures): Decision {
    const seen = this.#seen.get(key) ?? new Map<string, Seen>();
    const decision = this.#combined(seen, own, measures);
    const unjudged = this.#stages.filter((stage) => (seen.get(stage)?.unjudged ?? 0) > 0);
    if (unjudged.length === 0) return decision;
    return {
      checks: [...decision.checks, ...unjudged.map((stage) => `${stage}.unjudged`)],
      verdict: graver(decision.verdict, 'review'),
    };
  }

  #combined(seen: ReadonlyMap<string, Seen>, own: Decision, measures: Measures): Decision {
    const { policy, cascade } = this.#rules;
    if (cascade?.verdict === 'rules') return decide(policy, this.#measures(seen, measures));
    const judged = this.#stages.flatMap((stage) => {
      const of = seen.get(stage);
      if (of === undefined || of.count === 0) return [];
      return [{ verdict: of.verdict, checks: [...of.checks].map((check) => `${stage}.${check}`) }];
    });
    if (cascade?.verdict === 'last') return judged.at(-1) ?? own;
    return judged.reduce(
      (worst, { verdict, checks }): Decision => ({
        verdict: graver(worst.verdict, verdict),
        checks: [...worst.checks, ...checks],
      }),
      own,
    );
  }

  #measures(seen: ReadonlyMap<string, Seen>, own: Measures): Measures {
    const all: Record<string, number | undefined> = { ...own, [`${this.#first}.count`]: 1 };
    for (const [name, value] of Object.entries(own)) all[`${this.#first}.${name}`] = value;
    for (const stage of this.#stages) {
      const of = seen.get(stage);
      all[`${stage}.count`] = of?.count ?? 0;
      for (const [name, value] of Object.entries(of?.scores ?? {})) all[`${stage}.${name}`] = value;
    }
    return all;
  }
}
