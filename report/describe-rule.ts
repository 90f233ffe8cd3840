import { JOB_MEASURES } from '#core/measures.ts';
import type { Condition, Policy } from '#core/policy.ts';
import { words } from './format.ts';
import type { ReportBound, ReportCheck } from './report-data.ts';

/** Measures that are 0 or 1: "odd size", not "odd size above 0". */
export const YES_NO_MEASURES: ReadonlySet<string> = new Set(JOB_MEASURES);

const GRAVITY = { pass: 0, review: 1, reject: 2 } as const;

/**
 * One entry per check of the policy, in rule order, with the number of images it flagged. Several
 * rules under one name become one entry with the gravest verdict.
 */
export function reportChecks(policy: Policy, counts: Readonly<Record<string, number>>): ReportCheck[] {
  const checks = [...new Set(policy.rules.map((rule) => rule.check))];
  return checks.map((check) => {
    const rules = policy.rules.filter((rule) => rule.check === check);
    const gravest = rules.reduce((a, b) => (GRAVITY[b.verdict] > GRAVITY[a.verdict] ? b : a));
    return {
      check,
      count: counts[check] ?? 0,
      verdict: gravest.verdict,
      rule: rules.map((rule) => describeCondition(rule.when)).join(' or '),
      bounds: rules.flatMap((rule) => boundsOf(rule.when)),
    };
  });
}

/** When a condition holds, for people: "dark below 0.32", "(a above 1 or b above 2) and c below 3". */
function describeCondition(condition: Condition): string {
  if ('all' in condition) return condition.all.map(describePart).join(' and ');
  if ('any' in condition) return condition.any.map(describePart).join(' or ');
  const { measure, below, above } = condition;
  const name = words(measure);
  if (YES_NO_MEASURES.has(measure) && below === undefined) return name;
  const sides = [above !== undefined && `above ${above}`, below !== undefined && `below ${below}`];
  return `${name} ${sides.filter((side) => side !== false).join(' and ')}`;
}

function describePart(condition: Condition): string {
  const text = describeCondition(condition);
  const parts = 'all' in condition ? condition.all : 'any' in condition ? condition.any : [];
  return parts.length > 1 ? `(${text})` : text;
}

function boundsOf(condition: Condition): ReportBound[] {
  if ('all' in condition) return condition.all.flatMap(boundsOf);
  if ('any' in condition) return condition.any.flatMap(boundsOf);
  return [condition];
}
