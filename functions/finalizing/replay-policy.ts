import type { Completion } from '#core/completion.ts';
import { SluiceError } from '#core/error.ts';
import { carriedRowsKey, completionKey, planKey, requestKey } from '#core/job-layout.ts';
import { JobRequest } from '#core/job-request.ts';
import type { Plan } from '#core/plan.ts';
import { measuresOf, type Policy, policyHash } from '#core/policy.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { RowSet } from '#core/row-set.ts';
import { type JobRules, plannedMeasures } from '#core/stages.ts';
import { Summary } from '#core/summary.ts';
import { readJson, writeJson } from '../json-object.ts';
import { readPlan } from '../planning/read-plan.ts';
import { completeJob, completionOf, resultFile } from './complete-job.ts';
import { SUMMARY_FILE } from './finalize-job.ts';
import { rowsOfTables } from './table-rows.ts';

/**
 * Decides anew on all rows of a complete job, under another policy and from the scores that are stored: nothing is
 * decoded, no model runs. The outcome is a job of its own, named after the policy. Of a cascade the policy decides on the
 * images, from what all stages saw; each stage's own rows keep the policy that they were judged by.
 *
 * @throws SluiceError `job-conflict` for a job that is not complete, or whose plan or summary is gone; `config-invalid`
 *   for a policy that speaks of what the job's rows do not have.
 */
export async function replayPolicy(
  job: string,
  policy: Policy,
  options: { softwareVersion: string; tableFileBytes: number },
  works: ObjectStore,
): Promise<Summary> {
  const completion = await completionOf(job, works);
  const plan = await readPlan(job, works);
  if (plan === undefined) {
    throw new SluiceError(
      'job-conflict',
      `the plan of "${job}" is gone, or a version before plans of the live lane's days made it: "sluice finalize ${job}" writes one`,
    );
  }
  const known = plannedMeasures(plan);
  const unknown = measuresOf(policy).filter((measure) => !known.includes(measure));
  if (unknown.length > 0) {
    throw new SluiceError(
      'config-invalid',
      `the policy speaks of "${unknown.join('", "')}", which job "${job}" does not have: it has ${known.join(', ')}`,
    );
  }
  const replay = `${job}-${policyHash(policy).slice(0, 8)}`;
  const rules = await rulesOfReplay(completion, policy, works);
  // Those of the images: of a cascade the rows of the other stages come after them.
  const rows = completion.planned;
  const all = new RowSet(rows);
  for (let row = 0; row < rows; row++) all.add(row);
  await works.put(carriedRowsKey(replay), all.bytes);
  const request = await readJson(works, requestKey(job), JobRequest);
  if (request !== undefined) await writeJson(works, requestKey(replay), { ...request, job: replay, policy });
  const replayed: Plan = {
    ...plan,
    job: replay,
    createdAt: new Date().toISOString(),
    shards: [],
    images: 0,
    bytes: 0,
    // What the other job has consumed is its own.
    usage: [],
    carried: {
      job,
      count: all.count,
      rows: carriedRowsKey(replay),
      tables: completion.tables.map((table) => table.key),
    },
  };
  await writeJson(works, planKey(replay), replayed);
  await works.delete([completionKey(replay)]);
  const { summary } = await completeJob(
    replayed,
    undefined,
    { ...options, ...rules },
    {
      works,
      reasonOf: () => '',
      thumbnail: async () => undefined,
      ...(rules.cascade && rowsOfTables(completion, plan, works)),
    },
  );
  return summary;
}

/** The policy in the place of what decided on the images, beside the policies that the stages were judged by. */
async function rulesOfReplay(
  { job, stages }: Completion,
  policy: Policy,
  works: ObjectStore,
): Promise<JobRules> {
  if (stages === undefined) return { policy };
  const summary = await readJson(works, resultFile(job, SUMMARY_FILE), Summary);
  if (summary?.stages === undefined) {
    throw new SluiceError(
      'job-conflict',
      `the summary of "${job}" is gone, and with it the policies that its stages were judged by: submit it again with another --policy`,
    );
  }
  const policies = summary.stages.map(({ stage, policy }) => [stage, policy] as const);
  const shadows = (summary.shadows ?? []).flatMap(({ stage, policy }) => (policy ? [[stage, policy]] : []));
  return {
    policy,
    cascade: {
      stages: Object.fromEntries(policies),
      shadows: Object.fromEntries(shadows),
      verdict: 'rules',
    },
  };
}
