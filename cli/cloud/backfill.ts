import { fittingPolicy } from '#adapters/load-stages.ts';
import { loadPolicy } from '#adapters/model-folder.ts';
import { openPipeline, type Pipeline } from '#adapters/pipeline.ts';
import { readPrices } from '#adapters/price-files.ts';
import { parseUsd } from '#core/budget.ts';
import { workerHourUsd } from '#core/cost/cost-items.ts';
import { SluiceError } from '#core/error.ts';
import { JobRequest, type S3Source, sourceText } from '#core/job-request.ts';
import type { Policy } from '#core/policy.ts';
import { parseS3Url } from '#core/store-location.ts';
import { submitJob } from '#functions/planning/submit-job.ts';
import { EXIT } from '../exit-codes.ts';
import { assumptionsFrom } from './cost-assumptions.ts';
import { status } from './status.ts';
import { validated } from './validated.ts';

export interface BackfillFlags {
  pipeline?: string;
  name?: string;
  bucket?: string;
  incremental?: boolean;
  policy?: string;
  include?: string[];
  exclude?: string[];
  suffix?: string[];
  minBytes?: string;
  maxBytes?: string;
  modifiedAfter?: string;
  modifiedBefore?: string;
  budget?: string;
  assume?: string;
  watch?: boolean;
  json?: boolean;
}

/** `sluice backfill`: submits a job. @returns the exit code. */
export async function backfill(
  url: string,
  flags: BackfillFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const pipeline = await openPipeline(flags.pipeline, env);
  const source = backfillSource(url, flags.bucket);
  const now = new Date().toISOString();
  const request = validated(
    JobRequest,
    {
      schema: 1,
      job: flags.name ?? `backfill-${now.slice(0, 19).replace(/\D/g, '')}`,
      source,
      filter: {
        include: flags.include ?? [],
        exclude: flags.exclude ?? [],
        suffixes: flags.suffix ?? [],
        ...(flags.minBytes !== undefined && { minBytes: Number(flags.minBytes) }),
        ...(flags.maxBytes !== undefined && { maxBytes: Number(flags.maxBytes) }),
        ...(flags.modifiedAfter !== undefined && { modifiedAfter: isoTime(flags.modifiedAfter) }),
        ...(flags.modifiedBefore !== undefined && { modifiedBefore: isoTime(flags.modifiedBefore) }),
      },
      incremental: flags.incremental ?? false,
      ...(flags.policy !== undefined && {
        policy: await policyFor(pipeline, flags.policy),
      }),
      ...(flags.budget !== undefined && { budget: await budgetFrom(flags.budget, flags, pipeline) }),
      submittedAt: now,
    },
    'the backfill',
  );
  await submitJob(request, { works: pipeline.works, jobs: await pipeline.queue('jobs') });
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ job: request.job })}\n`);
  else process.stdout.write(`submitted ${request.job}: ${sourceText(source)}\n`);
  if (flags.watch === true) return status(request.job, { ...flags, watch: true }, env);
  if (flags.json !== true) process.stdout.write(`see how it goes: sluice status ${request.job} --watch\n`);
  return EXIT.ok;
}

/** A policy that the pipeline's models can serve; where their manifests are not on this machine, one that is not checked. */
async function policyFor(pipeline: Pipeline, file: string): Promise<Policy> {
  const policy = await loadPolicy(file);
  const stages = await pipeline.stages().catch((error: unknown) => {
    if (!(error instanceof SluiceError && error.code === 'model-invalid')) throw error;
    process.stderr.write(`whether the policy fits could not be checked here: ${error.message}\n`);
  });
  return stages === undefined ? policy : fittingPolicy(policy, stages);
}

/** Prices and assumptions go with the job: who feeds it has no price file. */
async function budgetFrom(amount: string, flags: BackfillFlags, pipeline: Pipeline): Promise<unknown> {
  const assumptions = await assumptionsFrom(
    flags.assume === undefined ? {} : { assume: flags.assume },
    pipeline,
  );
  const prices = await readPrices(assumptions.region);
  // A price that is missing is told now, and not when the first shard is done.
  workerHourUsd(assumptions, prices);
  return { usd: parseUsd(amount), assumptions, prices };
}

/** A bucket and prefix; the manifest.json of an inventory, or with --bucket the folder of its reports; or, with --bucket, a list of that bucket's keys. */
function backfillSource(url: string, bucket: string | undefined): S3Source {
  const { bucket: place, prefix } = parseS3Url(url);
  const isFolder = bucket !== undefined && prefix.endsWith('/');
  if (isFolder || prefix.endsWith('/manifest.json')) {
    if (bucket === undefined) {
      throw new SluiceError(
        'source-invalid',
        '--bucket is missing: an inventory report lies in one bucket and tells of another; name the one that it tells of',
      );
    }
    return { kind: 'inventory', bucket, reports: place, manifest: prefix };
  }
  if (bucket !== undefined) return { kind: 'keys', bucket, lists: place, manifest: prefix };
  return { kind: 'prefix', bucket: place, prefix };
}

/** A date as people write it, as ISO 8601; what is none stays as it is, for the schema to refuse with the rest. */
function isoTime(text: string): string {
  const time = Date.parse(text);
  return Number.isNaN(time) ? text : new Date(time).toISOString();
}
