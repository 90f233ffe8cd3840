import { type Tally, tallied } from '#adapters/meter.ts';
import { usageOfPart } from '#adapters/part-file.ts';
import { type Budget, feedingWithin } from '#core/budget.ts';
import { jobCost } from '#core/cost/job-cost.ts';
import { dispatchKey, partKey } from '#core/job-layout.ts';
import { type ExpectedPack, expectedRanges, type Plan, rangeAtRoots } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { RowSet } from '#core/row-set.ts';
import { type StageUsage, type UsageRecord, UsageSum } from '#core/usage.ts';
import { ahead } from '../ahead.ts';
import { GivenUp } from '../finalizing/dead-letters.ts';
import { partKeys } from '../finalizing/part-keys.ts';
import { readJson, writeJson } from '../json-object.ts';
import { Dispatch, type DispatchPorts, sendShards } from './dispatch-shards.ts';
import { settledParts } from './settled-parts.ts';

const PARTS_AHEAD = 16;
/** Of looks, kept one by one: whether one of these was stored may be in doubt, and then its records come twice. */
const MAX_RECORDS = 64;

export interface FeedOptions {
  /** How long it is until the next look. */
  readonly everyMs: number;
  readonly now?: () => number;
}

/**
 * Sends as many of a plan's shards as its budget has room for: what the finished images have cost, and what those under
 * way will cost at that rate, stay within it. An image is finished once nothing is left of it at any stage. Each part is read
 * once, over all looks.
 *
 * @returns `done` when all shards are sent, `again` where another look is due, `held` where only another budget helps,
 * `watched` where another one looks already.
 */
export function feedWithinBudget(
  plan: Plan,
  budget: Budget,
  ports: DispatchPorts,
  options: FeedOptions,
): Promise<'done' | 'again' | 'held' | 'watched'> {
  return tallied('plan', (tally) => feed(plan, budget, ports, options, tally));
}

async function feed(
  plan: Plan,
  budget: Budget,
  ports: DispatchPorts,
  { everyMs, now = Date.now }: FeedOptions,
  tally: Tally,
): Promise<'done' | 'again' | 'held' | 'watched'> {
  const { works } = ports;
  const { job } = plan;
  const known: Dispatch = (await readJson(works, dispatchKey(job), Dispatch)) ?? { sent: 0 };
  if (known.sent === plan.shards.length) return 'done';
  const last = known.feeding;
  // A message may come twice: two that look in turn must not become four.
  if (last !== undefined && !last.isHeld && now() - Date.parse(last.lookedAt) < everyMs / 2) return 'watched';

  const metered = await meteredSoFar(plan, known, works);
  const cost = jobCost(
    [{ job, isComplete: false, images: metered.done, usage: metered.usage, notes: [] }],
    budget.assumptions,
    budget.prices,
  );
  const perImageUsd = cost.byStage
    .filter(({ stage }) => stage === 'preprocess' || stage === 'worker')
    .reduce((sum, { usd }) => sum + usd, 0);
  const { shards, committedUsd, hold } = feedingWithin(budget, {
    shards: plan.shards,
    sent: known.sent,
    done: metered.done,
    underWay: metered.underWay,
    meteredUsd: cost.usd,
    perImageUsd,
    meteredAtSendingUsd: last?.meteredAtSendingUsd,
    lookUsd: lookUsd(known, budget, job),
  });
  const sent = known.sent + shards;
  await sendShards(plan, known.sent, sent, ports.shards);
  const meteredAtSendingUsd = shards > 0 ? cost.usd : last?.meteredAtSendingUsd;
  await writeJson(works, dispatchKey(job), {
    sent,
    usage: tally.seal({ carried: addedUp(known.usage ?? [], job), storedBy: works.putRequest }),
    feeding: {
      lookedAt: new Date(now()).toISOString(),
      seen: Buffer.from(metered.seen.bytes).toString('base64'),
      stages: metered.ofParts,
      budgetUsd: budget.usd,
      meteredUsd: cost.usd,
      committedUsd,
      looks: (last?.looks ?? 0) + 1,
      isHeld: hold !== undefined,
      ...(hold && { hold }),
      ...(meteredAtSendingUsd !== undefined && { meteredAtSendingUsd }),
    },
  } satisfies Dispatch);
  tally.stored();
  if (sent === plan.shards.length) return 'done';
  return hold === undefined ? 'again' : 'held';
}

/** What a look has cost on average; of the first one only what it will write is known. */
function lookUsd({ usage = [], feeding }: Dispatch, { assumptions, prices }: Budget, job: string): number {
  if (feeding?.looks === undefined) return prices.s3.put.usd / 1000;
  const sum = new UsageSum(job);
  sum.add(usage);
  return (
    jobCost([{ job, isComplete: false, images: 0, usage: sum.finish(), notes: [] }], assumptions, prices)
      .usd / feeding.looks
  );
}

/** The records of many looks as few: a job that is looked at for a night must not write a longer one each minute. */
function addedUp(records: readonly UsageRecord[], job: string): UsageRecord[] {
  if (records.length <= MAX_RECORDS) return [...records];
  const sum = new UsageSum(job);
  sum.add(records);
  return sum.finish().stages.map((stage, i) => ({ id: `looks ${job} ${i}`, ...stage }));
}

/** What plan and parts say, and how many images of the shards that were sent are done, at every stage, or on their way. */
async function meteredSoFar(plan: Plan, known: Dispatch, works: ObjectStore) {
  const ranges = [...expectedRanges(plan)];
  const before = known.feeding && Uint8Array.from(Buffer.from(known.feeding.seen, 'base64'));
  const seen = new RowSet(ranges.length, before);
  const ofParts = new UsageSum(plan.job, known.feeding?.stages);
  const parts = await allPartKeys(plan, works);
  const givenUp = await GivenUp.of(plan.job, works);
  const hasPart = ({ pack }: ExpectedPack): boolean => parts.has(partKey(pack));
  const fresh = [...ranges.entries()].filter(
    ([i, range]) => !seen.has(i) && rangeAtRoots(plan, range).some(hasPart),
  );
  const usageOf = async (range: ExpectedPack): Promise<(UsageRecord[] | undefined)[] | undefined> => {
    const keys = await settledParts(plan, range, { parts, givenUp, works });
    return keys && Promise.all(keys.map(async (key) => usageIfReadable((await works.get(key)).body)));
  };
  for await (const { item, result } of ahead(fresh, PARTS_AHEAD, ([, range]) => usageOf(range))) {
    if (result === undefined) continue;
    seen.add(item[0]);
    for (const usage of result) ofParts.addPart(usage);
  }
  const sentShards = new Set(plan.shards.slice(0, known.sent).map(({ shard }) => shard));
  let done = 0;
  let underWay = 0;
  for (const [i, range] of ranges.entries()) {
    // Where there is a part, what follows on it is still to come.
    const isAlive = rangeAtRoots(plan, range).some(
      (one) => hasPart(one) || givenUp.reasonOf(one) === undefined,
    );
    if (seen.has(i)) done += range.refs;
    else if (sentShards.has(range.shard) && isAlive) underWay += range.refs;
  }
  const stages: StageUsage[] = ofParts.finish().stages;
  const all = new UsageSum(plan.job, stages);
  for (const records of [plan.usage, known.usage]) all.add(records ?? []);
  return { seen, ofParts: stages, usage: all.finish(), done, underWay };
}

/** Keys of the parts of all stages. */
async function allPartKeys({ job, stage, following = [] }: Plan, works: ObjectStore): Promise<Set<string>> {
  const ofStages = await Promise.all([stage, ...following].map(({ name }) => partKeys(job, name, works)));
  return new Set(ofStages.flatMap((keys) => [...keys]));
}

/** A damaged part is a matter for whoever finalizes the job. */
function usageIfReadable(part: Uint8Array): UsageRecord[] | undefined {
  try {
    return usageOfPart(part);
  } catch {
    return undefined;
  }
}
