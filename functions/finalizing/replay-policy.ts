import { SluiceError } from '#core/error.ts';
import { carriedRowsKey, completionKey, planKey, requestKey } from '#core/job-layout.ts';
import { JobRequest } from '#core/job-request.ts';
import type { Plan } from '#core/plan.ts';
import { measuresOf, type Policy, policyHash } from '#core/policy.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { RowSet } from '#core/row-set.ts';
import { knownMeasures } from '#core/stages.ts';
import type { Summary } from '#core/summary.ts';
import { readJson, writeJson } from '../json-object.ts';
import { readPlan } from '../planning/read-plan.ts';
import { completeJob, completionOf } from './complete-job.ts';

/**
 * Decides anew on all rows of a complete job, under another policy and from the scores that are stored: nothing is
 * decoded, no model runs. The outcome is a job of its own, named after the policy.
 *
 * @throws SluiceError `job-conflict` for a job that is not complete, or ran a cascade; `config-invalid` for a policy that
 *   speaks of what the job's rows do not have.
 */
export async function replayPolicy(
  job: string,
  policy: Policy,
  options: { softwareVersion: string; tableFileBytes: number },
  works: ObjectStore,
): Promise<Summary> {
  const completion = await completionOf(job, works);
  if (completion.stages !== undefined) {
    throw new SluiceError(
      'job-conflict',
      `job "${job}" ran a cascade, whose rows cannot be decided on anew: submit it again with another --policy`,
    );
  }
  const plan = await readPlan(job, works);
  if (plan === undefined) {
    throw new SluiceError(
      'job-conflict',
      `the plan of "${job}" is gone, or a version before plans of the live lane's days made it: "sluice finalize ${job}" writes one`,
    );
  }
  const known = knownMeasures(plan.stage.scores);
  const unknown = measuresOf(policy).filter((measure) => !known.includes(measure));
  if (unknown.length > 0) {
    throw new SluiceError(
      'config-invalid',
      `the policy speaks of "${unknown.join('", "')}", which job "${job}" does not have: it has ${known.join(', ')}`,
    );
  }
  const replay = `${job}-${policyHash(policy).slice(0, 8)}`;
  const rows = completion.tables.reduce((sum, table) => sum + table.rows, 0);
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
    { ...options, policy },
    {
      works,
      reasonOf: () => '',
      thumbnail: async () => undefined,
    },
  );
  return summary;
}
