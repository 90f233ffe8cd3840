import type { Budget } from '#core/budget.ts';
import { SluiceError } from '#core/error.ts';
import { requestKey } from '#core/job-layout.ts';
import type { PlanMessage } from '#core/messages.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { jobState } from '../finalizing/job-state.ts';
import { writeJson } from '../json-object.ts';

/**
 * Gives a job another budget, and has it fed again.
 *
 * @throws SluiceError `job-conflict` for a job that needs none.
 */
export async function changeBudget(
  job: string,
  usd: number,
  ports: { works: ObjectStore; jobs: MessageQueue },
): Promise<Budget> {
  const state = await jobState(job, ports.works);
  if (state.kind !== 'running' && state.kind !== 'planning') {
    const what = state.kind === 'unknown' ? 'there is no such job' : `it is ${state.kind}`;
    throw new SluiceError('job-conflict', `the budget of "${job}" cannot be changed: ${what}`);
  }
  const { request } = state;
  if (request.budget === undefined) {
    throw new SluiceError(
      'job-conflict',
      `"${job}" was submitted without a budget: all of its shards are sent`,
    );
  }
  const budget: Budget = { ...request.budget, usd };
  await writeJson(ports.works, requestKey(job), { ...request, budget });
  await ports.jobs.send([JSON.stringify({ v: 1, type: 'plan', job } satisfies PlanMessage)]);
  return budget;
}
