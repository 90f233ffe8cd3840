import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { SourceFilter } from '#core/job-request.ts';

const BucketName = z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "expected a bucket's name");

/** One deployment: what is audited, and when. `infra/environments/<name>.json` */
export const Environment = z.strictObject({
  $schema: z.string().optional(),
  /** The stack's name. */
  name: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'expected letters, digits and "-", beginning with a letter'),
  /** Left out, the stack goes where the credentials of the deployment lead. */
  account: z
    .string()
    .regex(/^\d{12}$/, 'expected 12 digits')
    .optional(),
  region: z.string().optional(),
  sources: z
    .array(
      z.strictObject({
        bucket: BucketName,
        /** Audit new objects as their events come. The bucket must send its events to EventBridge. */
        live: z.boolean().default(false),
        /** Regular backfills of this bucket. */
        backfills: z
          .array(
            z.strictObject({
              name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/),
              prefix: z.string().default(''),
              filter: SourceFilter.prefault({}),
              /** An EventBridge Scheduler expression, e.g. "cron(0 1 * * ? *)". */
              schedule: z.string().regex(/^(cron|rate)\(.+\)$/, 'expected cron(…) or rate(…)'),
              timeZone: z.string().default('UTC'),
              incremental: z.boolean().default(true),
            }),
          )
          .default([]),
      }),
    )
    .min(1),
  /** Settings of the pipeline: see core/pipeline-config.ts. Its place and queues are the stack's own. */
  pipeline: z.record(z.string(), z.unknown()).default({}),
  /** Alarms are sent here. */
  alarmEmail: z.email().optional(),
});
export type Environment = z.infer<typeof Environment>;

/** @throws Error that lists every bad value. */
export async function readEnvironment(path: string): Promise<Environment> {
  const parsed = Environment.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new Error(`${path} does not describe an environment:\n${z.prettifyError(parsed.error)}`);
}
