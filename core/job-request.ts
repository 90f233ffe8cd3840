import { z } from 'zod';
import { Budget } from './budget.ts';
import { shortHashOf } from './canonical-json.ts';
import { Policy } from './policy.ts';

/** Where the images of a job on S3 are listed. */
export const S3Source = z.discriminatedUnion('kind', [
  /** Every object of a bucket whose key begins with the prefix. */
  z.strictObject({ kind: z.literal('prefix'), bucket: z.string(), prefix: z.string() }),
  /**
   * An S3 Inventory report: `manifest` is the key of its manifest.json in `reports`, or the folder of its configuration, ending
   * in "/": then it is the last report there when the job is planned.
   */
  z.strictObject({
    kind: z.literal('inventory'),
    bucket: z.string(),
    reports: z.string(),
    manifest: z.string(),
  }),
  /** An object with a key or a JSON object on each line; the keys lie in `bucket`. */
  z.strictObject({ kind: z.literal('keys'), bucket: z.string(), lists: z.string(), manifest: z.string() }),
]);
export type S3Source = z.infer<typeof S3Source>;

/** Which images of the source are audited. */
export const SourceFilter = z.strictObject({
  include: z.array(z.string()).default([]),
  exclude: z.array(z.string()).default([]),
  /** File endings such as ".jpg", whatever their case; none means all. */
  suffixes: z.array(z.string()).default([]),
  minBytes: z.int().min(0).optional(),
  maxBytes: z.int().min(0).optional(),
  modifiedAfter: z.iso.datetime().optional(),
  modifiedBefore: z.iso.datetime().optional(),
});
export type SourceFilter = z.infer<typeof SourceFilter>;

const JobName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, 'expected lower-case letters, digits, ".", "_" or "-", at most 100');

/** A job as it was asked for, before its images are known. */
export const JobRequest = z.strictObject({
  schema: z.literal(1),
  job: JobName,
  source: S3Source,
  filter: SourceFilter,
  /** Audit only what is new or changed since the last completed job of the same source, filter and model. */
  incremental: z.boolean(),
  /** Instead of the pipeline's policy. */
  policy: Policy.optional(),
  /** What the job may cost; left out, whatever it takes. */
  budget: Budget.optional(),
  submittedAt: z.iso.datetime(),
});
export type JobRequest = z.infer<typeof JobRequest>;

/** The source in words for people. */
export function sourceText(source: S3Source): string {
  switch (source.kind) {
    case 'prefix':
      return `s3://${source.bucket}/${source.prefix}`;
    case 'inventory':
      return `inventory s3://${source.reports}/${source.manifest} of s3://${source.bucket}/`;
    case 'keys':
      return `keys s3://${source.lists}/${source.manifest} of s3://${source.bucket}/`;
  }
}

/**
 * What jobs have in common that build on one another: the bucket's images chosen in the same way, under the same model.
 * An inventory is new every day, so its manifest's key does not count.
 */
export function seriesOf(request: Pick<JobRequest, 'source' | 'filter'>, model: string): string {
  const { source, filter } = request;
  const place = source.kind === 'inventory' ? { ...source, manifest: '' } : source;
  return shortHashOf({ place, filter, model });
}
