import type { Duration } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { ScheduleExpression } from 'aws-cdk-lib/aws-scheduler';
import type { z } from 'zod';
import type { Budget } from '#core/budget.ts';
import type { SourceFilter } from '#core/job-request.ts';
import type { ObjectEvents } from './audit-functions.ts';
import type { PipelineSettings } from './pipeline-description.ts';
import type { WorkerFleetProps } from './worker-fleet.ts';

/** A regular backfill of a bucket. */
export interface RegularBackfill {
  /** Jobs are named after it and the time: `nightly-202611200100`. */
  readonly name: string;
  /** Keys begin with it. @default '': the whole bucket */
  readonly prefix?: string;
  /**
   * From the last report of an S3 Inventory, instead of listing the bucket: where it lies, and the folder of its configuration,
   * `<destination prefix>/<bucket>/<configuration>/`. @default none: the bucket is listed
   */
  readonly inventory?: { readonly reports: IBucket; readonly folder: string };
  /** Which of its objects. @default all of them: what is no image becomes a row that says so */
  readonly filter?: z.input<typeof SourceFilter>;
  /** With its time zone: `ScheduleExpression.cron({ hour: '1', minute: '0', timeZone: TimeZone.EUROPE_BERLIN })`. */
  readonly schedule: ScheduleExpression;
  /** The job begins within this time. @default 15 minutes: backfills need no exact minute, and spread out they make no peak */
  readonly flexibleWindow?: Duration;
  /** Only what is new or changed. @default true: the rows of the last job are taken over, which costs nothing */
  readonly incremental?: boolean;
  /** What each job may cost; see `backfillBudget`. @default none: a job costs what it takes */
  readonly budget?: Budget;
}

export interface AuditSource {
  readonly bucket: IBucket;
  /** Audit new objects as their events come. @default none: backfills only */
  readonly events?: ObjectEvents;
  /** @default none: somebody submits them by hand */
  readonly backfills?: readonly RegularBackfill[];
}

export interface AuditLanes {
  readonly live?: {
    /** Age of a message at which the alarm goes off. @default 5 minutes: about what a worker takes to start */
    readonly oldest?: Duration;
    /** How long events are gathered for one invocation. @default 0: somebody waits for the verdict */
    readonly gatherFor?: Duration;
    /** Invocations at the same time. @default 50: some 200 photos a second */
    readonly concurrency?: number;
  };
  readonly bulk?: {
    /** The same. @default 6 hours: a lane that may take the night */
    readonly oldest?: Duration;
    /** How long a backfill may have left to go before an alarm goes off. @default 12 hours: ready by the next night */
    readonly drainWithin?: Duration;
  };
}

export interface AuditBudgetSettings {
  readonly monthlyUsd: number;
  /** Who hears of it at 80 % and 100 % spent, and when the month is reckoned to come to more. */
  readonly email: string;
}

export interface ImageAuditProps {
  readonly sources: readonly AuditSource[];
  /** Buckets with S3 Inventory reports and lists of keys. @default none: those of the sources are read as well */
  readonly reports?: readonly IBucket[];
  /** The folder that `bundleFunctions` wrote. */
  readonly functionCode: string;
  /** The folder of the layer with the decoders. */
  readonly decoderLayer: string;
  /** Settings of the pipeline but its place, queues and fleet. @default those of core/pipeline-config.ts */
  readonly pipeline?: PipelineSettings;
  readonly lanes?: AuditLanes;
  /** GPU workers. @default none: `sluice worker` runs wherever somebody starts it */
  readonly fleet?: WorkerFleetProps & {
    /** Whether workers may build TensorRT engines that are missing. @default true: no further step is needed */
    readonly buildsEngines?: boolean;
  };
  /** Copy rejected images into a bucket of its own. @default false */
  readonly quarantine?: boolean;
  /** For buckets and queues. @default the keys of S3 and SQS: they cost nothing */
  readonly encryptionKey?: IKey;
  /** Where alarms are sent. @default nowhere: they are shown only */
  readonly alarmEmail?: string;
  /** @default none: nobody is told what a month costs */
  readonly budget?: AuditBudgetSettings;
  /**
   * Whether `finalize` has a concurrency of one reserved for it. @default true: a large job takes longer than the minute after
   * which it is invoked anew. Lambda lets an account reserve only what it has above 100: with a limit of 10 it must be false,
   * and such a job is then completed twice, to the same results
   */
  readonly finalizesAlone?: boolean;
  /** Where docs/runbook.md can be read. @default its path in this repository */
  readonly runbookUrl?: string;
}
