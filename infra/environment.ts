import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { DEPLOYED_SCALING } from '#core/fleet-scaling.ts';
import { SourceFilter } from '#core/job-request.ts';
import { ObjectEvents } from './audit-functions.ts';
import { FleetSubnets } from './fleet-network.ts';
import type { PipelineSettings } from './pipeline-description.ts';
import { WorkerInstance } from './worker-fleet.ts';
import { isInEcr } from './worker-image.ts';

const BucketName = z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "expected a bucket's name");

const KeyArn = z
  .string()
  .regex(/^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/, "expected a KMS key's ARN");

function isTimeZone(name: string): boolean {
  try {
    return Intl.DateTimeFormat(undefined, { timeZone: name }).format() !== '';
  } catch {
    return false;
  }
}

const Minutes = z.int().min(1).max(20_160);

/** One deployment: what is audited, and when. `infra/environments/<name>.json` */
export const Environment = z
  .strictObject({
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
          /** The ARN of the KMS key that the bucket's objects are encrypted with, where they have one. */
          keyArn: KeyArn.optional(),
          /**
           * Audit new objects as their events come: by EventBridge, which the bucket must send its events to, or by a
           * notification of the bucket's, which this stack then sets.
           */
          events: z.enum(ObjectEvents).optional(),
          /** Regular backfills of this bucket. */
          backfills: z
            .array(
              z.strictObject({
                name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/),
                prefix: z.string().default(''),
                /** From the last report of an S3 Inventory, instead of listing: its bucket, and the folder of its configuration. */
                inventory: z
                  .strictObject({
                    bucket: BucketName,
                    folder: z
                      .string()
                      .regex(/^[^/].*\/$/, 'expected <destination prefix>/<bucket>/<configuration>/'),
                  })
                  .optional(),
                filter: SourceFilter.prefault({}),
                /** An EventBridge Scheduler expression, e.g. "cron(0 1 * * ? *)". */
                schedule: z.string().regex(/^(cron|rate)\(.+\)$/, 'expected cron(…) or rate(…)'),
                timeZone: z
                  .string()
                  .refine(isTimeZone, 'expected a time zone such as "Europe/Berlin"')
                  .default('UTC'),
                /** The job begins within so many minutes. */
                flexibleMinutes: z.int().min(1).max(1440).optional(),
                incremental: z.boolean().default(true),
                /** What each job may cost; `region` says by which prices. */
                budgetUsd: z.number().positive().optional(),
              }),
            )
            .default([]),
        }),
      )
      .min(1),
    /** Buckets with S3 Inventory reports and lists of keys, where those do not lie beside the images. */
    reports: z.array(BucketName).default([]),
    /** Settings of the pipeline: see core/pipeline-config.ts. Its place and queues are the stack's own. */
    pipeline: z
      .record(z.string(), z.unknown())
      // They are checked where the pipeline is described, together with what the stack adds to them.
      .transform((settings) => settings as PipelineSettings)
      .default({}),
    lanes: z
      .strictObject({
        live: z
          .strictObject({
            oldestMinutes: Minutes.optional(),
            gatherSeconds: z.int().min(0).max(300).optional(),
            concurrency: z.int().min(2).max(1000).optional(),
          })
          .prefault({}),
        bulk: z
          .strictObject({ oldestMinutes: Minutes.optional(), drainWithinMinutes: Minutes.optional() })
          .prefault({}),
      })
      .prefault({}),
    /** GPU workers. Left out, workers run wherever somebody starts `sluice worker`. */
    fleet: z
      .strictObject({
        /** An image in a registry, or a Dockerfile of this repository that `cdk deploy` builds. */
        image: z.union([
          z.strictObject({ uri: z.string().min(1) }),
          z.strictObject({ dockerfile: z.string().min(1) }),
        ]),
        instances: z.array(z.enum(WorkerInstance)).min(1).optional(),
        maxWorkers: z.int().min(1).max(1000).optional(),
        minWorkers: z.int().min(0).optional(),
        growAtPacks: z.int().min(1).optional(),
        onDemandWorkers: z.int().min(0).optional(),
        subnets: z.enum(FleetSubnets).optional(),
        zones: z.int().min(1).max(6).optional(),
        buildsEngines: z.boolean().optional(),
      })
      .refine(({ minWorkers = 0, maxWorkers = DEPLOYED_SCALING.maxWorkers }) => minWorkers <= maxWorkers, {
        path: ['minWorkers'],
        message: 'expected at most maxWorkers',
      })
      .refine(
        ({ image, subnets }) => subnets !== FleetSubnets.PRIVATE || !('uri' in image) || isInEcr(image.uri),
        {
          path: ['image', 'uri'],
          message: 'expected an image in ECR: private subnets lead to no other registry',
        },
      )
      .optional(),
    /** Copy rejected images into a bucket of its own. */
    quarantine: z.boolean().default(false),
    /** The ARN of a KMS key for buckets and queues, instead of the keys of S3 and SQS. */
    keyArn: KeyArn.optional(),
    /** Alarms are sent here. */
    alarmEmail: z.email().optional(),
    budget: z.strictObject({ monthlyUsd: z.number().positive(), email: z.email() }).optional(),
    /** Not where the account's limit of concurrent Lambda executions is 10: nothing of it can be reserved. */
    finalizesAlone: z.boolean().default(true),
    /** Where docs/runbook.md can be read: it stands in the description of each alarm. */
    runbookUrl: z.url().optional(),
  })
  .superRefine(({ sources, region }, context) => {
    const names = new Set<string>();
    for (const [i, { backfills }] of sources.entries())
      for (const [k, { name, budgetUsd }] of backfills.entries()) {
        const problem = (member: string, message: string): void =>
          context.addIssue({ code: 'custom', path: ['sources', i, 'backfills', k, member], message });
        if (names.has(name))
          problem(
            'name',
            `there are two backfills "${name}": jobs are named after them, and one would never begin`,
          );
        if (budgetUsd !== undefined && region === undefined)
          problem('budgetUsd', 'expected "region" beside it: a budget is reckoned by the prices of a region');
        names.add(name);
      }
  });
export type Environment = z.infer<typeof Environment>;

/** @throws Error that lists every bad value. */
export async function readEnvironment(path: string): Promise<Environment> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new Error(`there is no environment ${path}: infra/environments/example.json is one to begin with`, {
      cause,
    });
  });
  const parsed = Environment.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new Error(`${path} does not describe an environment:\n${z.prettifyError(parsed.error)}`);
}
