import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { loadCpuEngine } from '#adapters/cpu-engine.ts';
import { FolderStore } from '#adapters/folder-store.ts';
import { loadStages, readCascade } from '#adapters/load-stages.ts';
import { type LoadedModel, loadModel, loadPolicy } from '#adapters/model-folder.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import type { RunConfig } from '#core/config.ts';
import { SluiceError } from '#core/error.ts';
import type { Plan } from '#core/plan.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { type JobRules, rulesHash, rulesOf, type Stages, type StageWith } from '#core/stages.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { Summary } from '#core/summary.ts';
import { FOLDER_LAYOUT } from '#functions/finalizing/audit-outputs.ts';
import { type FinalizePorts, finalizeJob, SUMMARY_FILE } from '#functions/finalizing/finalize-job.ts';
import { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { HeldModels } from '#workers/held-models.ts';
import { lockJob } from './job-lock.ts';
import type { LocalJobRequest } from './job-request.ts';
import { runLocalPipeline } from './local-pipeline.ts';
import { followUpsDone, imagesDone, prepareJob } from './prepare-job.ts';
import type { JobProgress } from './progress.ts';
import { sourceChanges } from './source-changes.ts';

/** Where the pipeline keeps its work below the output folder: plan, shards, packs in flight, parts. */
const WORK_FOLDER = '.sluice';

/** A finished job, or `stopped`: run it again to go on. */
export type LocalJobResult = { kind: 'finished'; summary: Summary } | { kind: 'stopped' };

/** Runs one job from a local source into an output folder, going on where an earlier run left off. */
export async function runLocalJob(
  request: LocalJobRequest,
  progress: JobProgress,
  stop: AbortSignal,
): Promise<LocalJobResult> {
  try {
    return await runToEnd(request, progress, stop);
  } catch (error) {
    // Planning, which can take minutes, is broken off where it is; it begins anew with the next run.
    if (stop.aborted && isAbort(error)) return { kind: 'stopped' };
    throw error;
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof SluiceError ? error.code === 'aborted' : (error as Error).name === 'AbortError';
}

async function runToEnd(
  request: LocalJobRequest,
  progress: JobProgress,
  stop: AbortSignal,
): Promise<LocalJobResult> {
  const { config, out } = request;
  const startedAt = new Date();
  const workLocation: StoreLocation = { kind: 'folder', root: join(out, WORK_FOLDER) };
  const works = new FolderStore(workLocation.root);
  const results = new FolderStore(out);
  const stages = await loadStages(
    {
      model: config.model,
      cascade: config.cascade === undefined ? undefined : await readCascade(config.cascade),
      policy: config.policy === undefined ? undefined : await loadPolicy(config.policy),
    },
    loadModel,
  );
  const rules = rulesOf(stages);
  await using _lock = await lockJob(join(workLocation.root, 'lock'));

  const plan = await prepareJob(request, stages, works, (images) => progress.planning(images), stop);
  const done = await imagesDone(plan, works);
  progress.planned(plan.images, done, plan.problems);
  const isDone = done === plan.images && (await followUpsDone(plan, works));
  const settled = isDone ? await settledSummary(plan, rules, config, results) : undefined;
  if (settled !== undefined) {
    const changes = await sourceChanges(plan, request, works, stop);
    if (changes !== undefined) progress.notice(changes);
    return { kind: 'finished', summary: settled };
  }

  await using decoders = decodingProcesses(config, workLocation);
  const run = isDone
    ? { finished: true, images: 0, reasonOf: () => '' }
    : await auditImages(plan, request, { works, stages, rules, decoders }, progress, stop);
  if (!run.finished) return { kind: 'stopped' };

  progress.finalizing();
  const finishedAt = new Date();
  const { used } = decoders;
  const { summary } = await finalizeJob(
    plan,
    {
      ...rules,
      softwareVersion: softwareVersion(),
      formats: config.formats,
      layout: FOLDER_LAYOUT,
      startedAt,
      finishedAt,
      seconds: (finishedAt.getTime() - startedAt.getTime()) / 1000,
      imagesThisRun: run.images,
      decoding: { images: used.images, cpuSeconds: used.cpuMs / 1000 },
    },
    {
      works,
      results,
      reasonOf: run.reasonOf,
      pixels: {
        hashOf: (image) => decoders.pixelHash(request.source.location, image, plan.stage.preprocess),
        isOutOfTime: () => stop.aborted,
      },
      thumbnail: (key, maxSidePx) => decoders.thumbnail(request.source.location, key, maxSidePx),
    },
  );
  return { kind: 'finished', summary };
}

/** The decoding processes of a job, as its configuration has them. */
export function decodingProcesses(config: RunConfig, works: StoreLocation): PackProcesses {
  return new PackProcesses(config.processes ?? availableParallelism(), {
    works,
    limits: config.limits,
    maxDecodedBytes: config.maxDecodedBytes,
    options: {
      maxImageBytes: config.limits.maxImageBytes,
      imagesInFlight: config.imagesInFlight,
      maxInFlightBytes: config.maxInFlightBytes,
    },
  });
}

/** The model of a local job. One thread: the cores belong to the decoders. */
export function cpuEngine(
  model: LoadedModel,
  { maxSecondsPerRun }: Pick<RunConfig, 'maxSecondsPerRun'>,
): Promise<Engine> {
  return loadCpuEngine(model, { threads: 1, maxSecondsPerRun });
}

async function auditImages(
  plan: Plan,
  { config, source }: LocalJobRequest,
  parts: {
    works: ObjectStore;
    stages: Stages<StageWith<LoadedModel>>;
    rules: JobRules;
    decoders: PackProcesses;
  },
  progress: JobProgress,
  stop: AbortSignal,
): Promise<{ finished: boolean; images: number; reasonOf: FinalizePorts['reasonOf'] }> {
  const { stages, rules } = parts;
  await using models = await HeldModels.load(stages, (model) => cpuEngine(model, config));
  let images = 0;
  const result = await runLocalPipeline(
    {
      source: source.location,
      plan,
      config,
      manifest: stages.first.manifest,
      policy: rules.policy,
      ...(rules.cascade && { policies: rules.cascade.stages }),
      softwareVersion: softwareVersion(),
      stop,
    },
    {
      works: parts.works,
      processes: parts.decoders,
      engine: models.first.engine,
      ...(models.first.shadow && { shadow: models.first.shadow }),
      following: models.following,
      onPart: (records) => {
        images += records.length;
        progress.part(records);
      },
      onFollowed: (stage, rows) => progress.followed(stage, rows),
      onStageGivenUp: (stage, reason) => progress.notice(`stage "${stage}" fails: ${reason}`),
    },
  );
  return { ...result, images };
}

/** The summary of a job that is finished under this very policy, with all the files that are asked for. */
async function settledSummary(
  plan: Plan,
  rules: JobRules,
  config: RunConfig,
  results: ObjectStore,
): Promise<Summary | undefined> {
  if ((await results.head(SUMMARY_FILE)) === undefined) return undefined;
  const parsed = Summary.safeParse(JSON.parse((await results.get(SUMMARY_FILE)).body.toString('utf8')));
  if (!parsed.success) return undefined;
  const summary = parsed.data;
  const failed = [summary, ...(summary.stages ?? [])].some((totals) => totals.failed > 0);
  const same = summary.job === plan.job && summary.policyHash === rulesHash(rules) && !failed;
  const files = [...Object.values(summary.outputs), ...config.formats.map((format) => `audit.${format}`)];
  for (const file of files) if ((await results.head(file)) === undefined) return undefined;
  return same ? summary : undefined;
}
