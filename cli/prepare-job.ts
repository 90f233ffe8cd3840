import { availableParallelism } from 'node:os';
import { z } from 'zod';
import type { KeyFilter } from '#adapters/image-sources.ts';
import { shortHashOf } from '#core/canonical-json.ts';
import { localPackSize } from '#core/config.ts';
import { SluiceError } from '#core/error.ts';
import { partKey } from '#core/job-layout.ts';
import { modelReceipt } from '#core/model-receipt.ts';
import { expectedRanges, type Plan, problemText } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { plannedStages, type Stages } from '#core/stages.ts';
import { followingPacks } from '#functions/finalizing/follow-up-packs.ts';
import { partKeys } from '#functions/finalizing/part-keys.ts';
import { planJob } from '#functions/planning/plan-job.ts';
import { readPlan } from '#functions/planning/read-plan.ts';
import type { LocalJobRequest } from './job-request.ts';
import { prefixInside } from './job-source.ts';

const CLAIM_KEY = 'job.json';
const Claim = z.object({ job: z.string(), source: z.string(), model: z.string() });

/**
 * The plan of the job in the output folder: the one that an earlier run made, so that it goes on, or a new one.
 *
 * @throws SluiceError `job-conflict` where the folder holds another job, `source-invalid` where the source is empty.
 */
export async function prepareJob(
  request: LocalJobRequest,
  stages: Stages,
  works: ObjectStore,
  onPlanned: (images: number) => void,
  stop: AbortSignal,
): Promise<Plan> {
  const job = jobId(request, stages);
  await claimFolder(job, request, stages, works);
  const earlier = await readPlan(job, works);
  // Earlier versions have written plans without images.
  const plan =
    earlier !== undefined && earlier.images > 0
      ? earlier
      : await newPlan(job, request, stages, works, onPlanned, stop);
  if (plan.images === 0) {
    const [first] = plan.problems;
    const reason =
      first === undefined ? 'it is empty, or no key passes --include and --exclude' : problemText(first);
    throw new SluiceError('source-invalid', `nothing to audit in "${request.source.label}": ${reason}`);
  }
  return plan;
}

/** How many images of the plan have their part already. */
export async function imagesDone(plan: Plan, works: ObjectStore): Promise<number> {
  const parts = await partKeys(plan.job, plan.stage.name, works);
  let images = 0;
  for (const range of expectedRanges(plan)) if (parts.has(partKey(range.pack))) images += range.refs;
  return images;
}

/** Whether every part that is there has the parts that follow on it. */
export async function followUpsDone(plan: Plan, works: ObjectStore): Promise<boolean> {
  for (const stage of plan.following ?? []) {
    const parts = await partKeys(plan.job, stage.name, works);
    for await (const { expected } of followingPacks(plan, stage, works))
      if (!parts.has(partKey(expected.pack))) return false;
  }
  return true;
}

/** Which keys of the source are audited: those that pass the filters, and never the results themselves. */
export function keyFilter({ source, config, out }: LocalJobRequest): KeyFilter {
  const { include, exclude } = config;
  return { include, exclude, excludePrefixes: prefixInside(source.location, out) };
}

/** The same source, stages (with how their outputs are read), filters and limits are the same job, whichever folder it is written to. */
function jobId({ source, config }: LocalJobRequest, stages: Stages): string {
  const { manifest, name } = stages.first;
  const { include, exclude, shardSize, packSize, limits } = config;
  const { modelSha256, preprocessHash, decodeHash } = modelReceipt(manifest);
  const identity = {
    source: source.identity,
    model: modelSha256,
    preprocess: preprocessHash,
    decode: decodeHash,
    filter: { include, exclude },
    sizes: { shardSize, packSize },
    // Other limits refuse other images: rows of both must not stand in one table.
    limits,
    ...(stages.combined && { cascade: plannedStages(stages) }),
  };
  return `${name}-${shortHashOf(identity)}`;
}

async function claimFolder(
  job: string,
  { source, force }: LocalJobRequest,
  { first, following }: Stages,
  works: ObjectStore,
): Promise<void> {
  const claimed = await readClaim(works);
  if (claimed !== undefined && claimed.job !== job && !force) {
    throw new SluiceError(
      'job-conflict',
      `the output folder holds another job (source "${claimed.source}", model "${claimed.model}", or other labels, thresholds, filters, sizes or limits): ` +
        'use another --out, or --force to throw that job away',
    );
  }
  if (claimed !== undefined && force) await deleteAll(works);
  const model = [first, ...following].map(({ manifest }) => manifest.name).join(' → ');
  await works.put(CLAIM_KEY, Buffer.from(JSON.stringify({ job, source: source.label, model })));
}

async function readClaim(works: ObjectStore): Promise<z.infer<typeof Claim> | undefined> {
  if ((await works.head(CLAIM_KEY)) === undefined) return undefined;
  return Claim.parse(JSON.parse((await works.get(CLAIM_KEY)).body.toString('utf8')));
}

async function deleteAll(works: ObjectStore): Promise<void> {
  for (let page = await works.list(); ; page = await works.list({ cursor: page.next })) {
    await works.delete(page.objects.map(({ key }) => key).filter((key) => key !== 'lock'));
    if (page.next === undefined) return;
  }
}

async function newPlan(
  job: string,
  request: LocalJobRequest,
  stages: Stages,
  works: ObjectStore,
  onPlanned: (images: number) => void,
  stop: AbortSignal,
): Promise<Plan> {
  const { source, config } = request;
  const processes = config.processes ?? availableParallelism();
  return planJob(
    {
      job,
      source: source.label,
      bucket: source.location.kind === 's3' ? source.location.bucket : null,
      createdAt: new Date(),
      ...plannedStages(stages),
      shardSize: config.shardSize,
      packSizeFor: (images) =>
        Math.min(config.shardSize, config.packSize ?? localPackSize(images, processes)),
    },
    source.entries(keyFilter(request), stop),
    works,
    onPlanned,
  );
}
