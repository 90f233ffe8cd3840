import { SluiceError } from '#core/error.ts';
import { openKey, requestKey } from '#core/job-layout.ts';
import { JobRequest } from '#core/job-request.ts';
import type { PlanMessage } from '#core/messages.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { isLiveJob } from '../live/live-job.ts';

/**
 * Puts a job into the pipeline. Its request is written before its message is sent, and only once.
 *
 * @throws SluiceError `job-conflict` where there is a job of that name already.
 */
export async function submitJob(
  request: JobRequest,
  ports: { works: ObjectStore; jobs: MessageQueue },
): Promise<void> {
  if (isLiveJob(request.job)) {
    throw new SluiceError(
      'config-invalid',
      `"${request.job}" is what a day of the live lane is called: choose another --name`,
    );
  }
  if (!(await writeRequest(request, ports.works))) {
    throw new SluiceError(
      'job-conflict',
      `there is a job "${request.job}" already: choose another --name, or see "sluice status ${request.job}"`,
    );
  }
  await ports.jobs.send([JSON.stringify({ v: 1, type: 'plan', job: request.job } satisfies PlanMessage)]);
}

/**
 * Writes the request of a job that a schedule asked for. The second delivery of the same schedule is the same job.
 *
 * @returns the job's name.
 */
export async function submitScheduled(
  message: PlanMessage & { type: 'submit' },
  works: ObjectStore,
): Promise<string> {
  const { name, source, filter, incremental, budget, at } = message;
  const job = `${name}-${at.slice(0, 16).replace(/\D/g, '')}`;
  const request = { schema: 1, job, source, filter, incremental, budget, submittedAt: at } as const;
  await writeRequest(JobRequest.parse(request), works);
  return job;
}

async function writeRequest(request: JobRequest, works: ObjectStore): Promise<boolean> {
  const body = Buffer.from(JSON.stringify(request));
  const outcome = await works.put(requestKey(request.job), body, { ifAbsent: true });
  if (outcome === 'written') await works.put(openKey(request.job), Buffer.from(''));
  return outcome === 'written';
}
