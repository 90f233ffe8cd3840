import { z } from 'zod';
import { shortHashOf } from './canonical-json.ts';

/** What a person or a program does with the image next. */
export const VERDICTS = ['pass', 'review', 'reject', 'unreadable'] as const;
export const Verdict = z.enum(VERDICTS);
export type Verdict = z.infer<typeof Verdict>;

const Comparison = z
  .strictObject({
    /** A model's score, or a measure of the image or the job: see {@link Measures}. */
    measure: z.string().min(1),
    below: z.number().optional(),
    above: z.number().optional(),
  })
  .refine((c) => c.below !== undefined || c.above !== undefined, 'expected "below", "above" or both');

type Comparison = z.infer<typeof Comparison>;

/** A comparison, or several of which `all` or `any` must hold. */
export type Condition = Comparison | { all: Condition[] } | { any: Condition[] };

export const Condition: z.ZodType<Condition> = z.lazy(() =>
  z.union([
    Comparison,
    z.strictObject({ all: z.array(Condition).min(1) }),
    z.strictObject({ any: z.array(Condition).min(1) }),
  ]),
);

/** One check: its name, when it flags an image, and what the flag means for the verdict. */
const PolicyRule = z.strictObject({
  check: z.string().regex(/^[a-z][a-z0-9_]*$/, 'expected snake_case'),
  when: Condition,
  verdict: z.enum(['pass', 'review', 'reject']),
});

/** How scores become verdicts. A job's policy is named by its hash in every receipt. */
export const Policy = z.strictObject({
  rules: z.array(PolicyRule),
  /** Two images are near duplicates when their 64-bit perceptual hashes differ in at most this many bits. */
  nearDuplicateMaxBits: z.int().min(0).max(16).default(4),
  /** A size is odd when it lies more than this many interquartile ranges outside the quartiles. */
  oddSizeIqrs: z.number().positive().default(3),
});
export type Policy = z.infer<typeof Policy>;

/**
 * Numbers that rules speak about, by name: the model's scores; of the image `width`, `height`, `bytes` and
 * `aspect_ratio` (min(w/h, h/w), 0–1); of the job `odd_size`, `exact_duplicate` and `near_duplicate` (0 or 1),
 * which are known only once all images are. A rule on a measure that is absent does not flag.
 */
export type Measures = Readonly<Record<string, number | undefined>>;

/** What the policy made of one image: the names of the checks that flagged it, in rule order, and the verdict. */
export interface Decision {
  readonly checks: readonly string[];
  readonly verdict: 'pass' | 'review' | 'reject';
}

/** Applies every rule; the gravest verdict wins, and no flag at all is a pass. */
export function decide(policy: Policy, measures: Measures): Decision {
  const flagged = policy.rules.filter((rule) => holds(rule.when, measures));
  const verdict = flagged.reduce((worst: Decision['verdict'], rule) => graver(worst, rule.verdict), 'pass');
  return { checks: [...new Set(flagged.map((rule) => rule.check))], verdict };
}

const GRAVITY = { pass: 0, review: 1, reject: 2 } as const;

/** The graver one of two verdicts. */
export function graver(a: Decision['verdict'], b: Decision['verdict']): Decision['verdict'] {
  return GRAVITY[b] > GRAVITY[a] ? b : a;
}

/** Whether a condition holds of something with these measures. */
export function holds(condition: Condition, measures: Measures): boolean {
  if ('all' in condition) return condition.all.every((c) => holds(c, measures));
  if ('any' in condition) return condition.any.some((c) => holds(c, measures));
  const value = measures[condition.measure];
  if (value === undefined || Number.isNaN(value)) return false;
  return (
    (condition.below === undefined || value < condition.below) &&
    (condition.above === undefined || value > condition.above)
  );
}

/** The measures a policy or a condition speaks about. */
export function measuresOf(rules: Policy | Condition): string[] {
  const names = new Set<string>();
  const visit = (condition: Condition): void => {
    if ('all' in condition) condition.all.forEach(visit);
    else if ('any' in condition) condition.any.forEach(visit);
    else names.add(condition.measure);
  };
  if ('rules' in rules) for (const rule of rules.rules) visit(rule.when);
  else visit(rules);
  return [...names];
}

/** The name of a policy in receipts. */
export function policyHash(policy: Policy): string {
  return shortHashOf(policy);
}
