import { partKey } from '#core/job-layout.ts';
import { type ExpectedPack, followersOf, followUpPacks, type Plan, rangeAtRoots } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { GivenUp } from '../finalizing/dead-letters.ts';
import { readFollowUps } from './read-plan.ts';

/**
 * The parts of a range and of all that follows on it, through all stages of a cascade; `undefined` while one is still to come. What was
 * given up has none.
 *
 * @param range of the first stage.
 * @param parts keys of all parts that are there, of every stage.
 */
export async function settledParts(
  plan: Pick<Plan, 'job' | 'packSize' | 'following'>,
  range: ExpectedPack,
  { parts, givenUp, works }: { parts: ReadonlySet<string>; givenUp: GivenUp; works: ObjectStore },
): Promise<string[] | undefined> {
  const settled: string[] = [];
  const expected = rangeAtRoots(plan, range);
  for (let one = expected.pop(); one !== undefined; one = expected.pop()) {
    const { pack } = one;
    const key = partKey(pack);
    if (!parts.has(key)) {
      if (givenUp.reasonOf(one) === undefined) return undefined;
      continue;
    }
    settled.push(key);
    for (const { name } of followersOf(plan, pack.stage)) {
      const followUps = await readFollowUps(plan.job, name, pack.name, works);
      for (const following of followUpPacks(plan, one, followUps)) expected.push(following.expected);
    }
  }
  return settled;
}
