import type { Pipeline } from '#adapters/pipeline.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import { planKey } from '#core/job-layout.ts';
import { policyHash } from '#core/policy.ts';
import { type JobRules, plannedStages, rulesOf } from '#core/stages.ts';
import type { Summary } from '#core/summary.ts';
import { writeJson } from '../json-object.ts';
import { isLiveJob } from '../live/live-job.ts';
import type { PackProcesses } from '../preprocessing/pack-processes.ts';
import { completeJob } from './complete-job.ts';
import { attempt } from './finalizing-attempt.ts';
import { jobState } from './job-state.ts';
import { liveDay } from './live-day.ts';

/** What there is to be done about a job that is not complete. */
export type Closing =
  /** Nothing: it is complete or broken, or there is none of that name. */
  | { readonly kind: 'closed'; readonly isComplete: boolean; readonly why: string }
  | { readonly kind: 'under-way'; readonly why: string }
  /** It can be completed: `undefined` where nothing came on that day of the live lane. */
  | { readonly kind: 'over'; complete(): Promise<Summary | undefined> };

export type ClosingPipeline = Pick<Pipeline, 'works' | 'config' | 'stages'>;

export interface ClosingOptions {
  /** Make the report's pictures, and compare pictures in full. */
  readonly processes?: Pick<PackProcesses, 'thumbnail' | 'pixelHash'> | undefined;
  /** Pictures that are compared in full; left out, as many as there are. */
  readonly maxCompared?: number;
  /** Whether no more pictures are to be compared: the next try goes on. */
  isOutOfTime?(): boolean;
}

/** Looks whether a job is over; if it is, it can be completed. */
export async function closingOf(
  job: string,
  pipeline: ClosingPipeline,
  { processes, maxCompared, isOutOfTime = () => false }: ClosingOptions = {},
): Promise<Closing> {
  if (isLiveJob(job))
    return { kind: 'over', complete: () => attempt(job, pipeline.works, () => closeLiveDay(job, pipeline)) };
  const { works } = pipeline;
  const state = await jobState(job, works);
  switch (state.kind) {
    case 'complete':
      return { kind: 'closed', isComplete: true, why: `"${job}" is complete` };
    case 'broken':
      return { kind: 'closed', isComplete: false, why: state.reason };
    case 'unknown':
      return { kind: 'closed', isComplete: false, why: `there is no job "${job}"` };
    case 'planning':
      return { kind: 'under-way', why: `"${job}" is being planned` };
  }
  const { plan, request, progress } = state;
  if (!progress.isOver) {
    const left = progress.left + progress.following.reduce((sum, stage) => sum + stage.left, 0);
    return { kind: 'under-way', why: `${left} images of "${job}" are on their way, or packs of dead shards` };
  }
  const { bucket, stage } = plan;
  const images = bucket === null ? undefined : ({ kind: 's3', bucket, prefix: '' } as const);
  const complete = async (): Promise<Summary> => {
    const rules = rulesOf(await pipeline.stages(), request.policy);
    const { summary } = await completeJob(plan, request, optionsOf(pipeline, rules), {
      works,
      reasonOf: progress.reasonOf,
      lostUsage: progress.lostUsage,
      thumbnail: async (key, maxSidePx) => images && processes?.thumbnail(images, key, maxSidePx),
      pixels:
        images && processes
          ? {
              hashOf: (image) => processes.pixelHash(images, image, stage.preprocess),
              ...(maxCompared !== undefined && { maxImages: maxCompared }),
              isOutOfTime,
            }
          : undefined,
    });
    return summary;
  };
  return { kind: 'over', complete: () => attempt(job, works, complete) };
}

/** A day of the live lane may be closed again: what came late is in its results then. */
async function closeLiveDay(job: string, pipeline: ClosingPipeline): Promise<Summary | undefined> {
  const { works } = pipeline;
  const stages = await pipeline.stages();
  const { policy } = stages.first;
  const options = optionsOf(pipeline, { policy });
  const made = { policyHash: policyHash(policy), softwareVersion: options.softwareVersion };
  const day = await liveDay(job, plannedStages(stages).stage, works, made);
  if (day === undefined) return undefined;
  await writeJson(works, planKey(job), day.plan);
  const { summary } = await completeJob(day.plan, undefined, options, {
    works,
    reasonOf: () => '',
    thumbnail: async () => undefined,
    lostUsage: day.lostUsage,
    records: day.records,
  });
  return summary;
}

function optionsOf({ config }: ClosingPipeline, rules: JobRules) {
  return { ...rules, softwareVersion: softwareVersion(), tableFileBytes: config.tableFileBytes };
}
