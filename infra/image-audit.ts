import { Duration, Stack, Tags, TimeZone } from 'aws-cdk-lib';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Bucket, IBucket } from 'aws-cdk-lib/aws-s3';
import {
  ContextAttribute,
  Schedule,
  ScheduleExpression,
  ScheduleTargetInput,
  TimeWindow,
} from 'aws-cdk-lib/aws-scheduler';
import { SqsSendMessage } from 'aws-cdk-lib/aws-scheduler-targets';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { PipelineConfig } from '#core/pipeline-config.ts';
import { acknowledge } from './acknowledge.ts';
import { AuditAlarms } from './alarms.ts';
import { AuditBudget } from './audit-budget.ts';
import { AuditDashboard } from './audit-dashboard.ts';
import { AuditFunctions, FUNCTION_TIMEOUTS, type ObjectEvents } from './audit-functions.ts';
import { AuditQueues } from './audit-queues.ts';
import { AuditStorage } from './audit-storage.ts';
import { AuditWatch } from './audit-watch.ts';
import { FleetScaling } from './fleet-scaling.ts';
import { mayRead } from './grants.ts';
import { WorkerFleet, type WorkerFleetProps } from './worker-fleet.ts';
import { allowWorker } from './worker-permissions.ts';

/** A regular backfill of a bucket. */
export interface RegularBackfill {
  /** Jobs are named after it and the time: `nightly-202611200100`. */
  readonly name: string;
  readonly prefix?: string;
  /**
   * From the last report of an S3 Inventory, instead of listing the bucket: where it lies, and the folder of its configuration,
   * `<destination prefix>/<bucket>/<configuration>/`. @default none
   */
  readonly inventory?: { readonly reports: IBucket; readonly folder: string };
  readonly filter?: object;
  /** With its time zone: `ScheduleExpression.cron({ hour: '1', minute: '0', timeZone: TimeZone.EUROPE_BERLIN })`. */
  readonly schedule: ScheduleExpression;
  /** The job begins within this time. @default 15 minutes: backfills need no exact minute, and spread out they make no peak */
  readonly flexibleWindow?: Duration;
  /** Only what is new or changed. @default true: the rows of the last job are taken over, which costs nothing */
  readonly incremental?: boolean;
}

export interface AuditSource {
  readonly bucket: IBucket;
  /** Audit new objects as their events come. @default none: backfills only */
  readonly events?: ObjectEvents;
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
  /** The folder that `bundleFunctions` wrote. */
  readonly functionCode: string;
  /** The folder of the layer with the decoders. */
  readonly decoderLayer: string;
  /** Settings of the pipeline but its place, queues and fleet. @default those of core/pipeline-config.ts */
  readonly pipeline?: Readonly<Record<string, unknown>>;
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
  /** @default none */
  readonly budget?: AuditBudgetSettings;
}

/** A worker has as long for one delivery; its heartbeats extend it. */
const PACK_TIMEOUT = Duration.seconds(30);
const DEFAULT_WINDOW = Duration.minutes(15);
const DEFAULT_LIVE = { oldest: Duration.minutes(5), gatherFor: Duration.seconds(0), concurrency: 50 };
const DEFAULT_BULK = { oldest: Duration.hours(6), drainWithin: Duration.hours(12) };
const PLACEHOLDER_QUEUE = 'https://sqs.invalid/queue';
/** By this tag a pipeline's costs are told apart. */
const COST_TAG = 'sluice:pipeline';
/** On a GPU the first that works; a pipeline may ask for others. */
const GPU_PROVIDERS = ['tensorrt', 'cuda'];

/**
 * A pipeline of Sluice in an AWS account: work bucket, queues with their dead letters, the four functions, GPU workers,
 * regular backfills, the wiring of S3 events, dashboard, alarms, and a budget.
 *
 * @example
 * new ImageAudit(this, 'Audit', {
 *   sources: [{ bucket: photos, events: ObjectEvents.EVENT_BRIDGE }],
 *   functionCode: 'dist/functions',
 *   decoderLayer: 'dist/decoder-layer',
 *   fleet: { image: { dockerfile: 'workers/Dockerfile' }, maxWorkers: 8 },
 * });
 */
export class ImageAudit extends Construct {
  readonly work: Bucket;
  readonly quarantine: Bucket | undefined;
  readonly queues: AuditQueues;
  readonly alarms: AuditAlarms;
  /** What workers and the command line read as `sluice.pipeline.json`. */
  readonly pipelineJson: string;
  readonly #scheduler: Role;

  constructor(scope: Construct, id: string, props: ImageAuditProps) {
    super(scope, id);
    const { fleet, encryptionKey, budget } = props;
    const live = { ...DEFAULT_LIVE, ...props.lanes?.live };
    const bulk = { ...DEFAULT_BULK, ...props.lanes?.bulk };
    const key = encryptionKey === undefined ? {} : { encryptionKey };
    if (encryptionKey !== undefined) {
      for (const action of ['kms:ReEncrypt*', 'kms:GenerateDataKey*'])
        acknowledge(
          this,
          `IAM5[Action::${action}]`,
          'Two names of one permission, for one key: as KMS documents it.',
        );
    }
    this.#scheduler = new Role(this, 'Scheduler', {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com'),
    });
    this.alarms = new AuditAlarms(this, 'Alarms', this.#alarmAction(props.alarmEmail));
    const storage = new AuditStorage(this, 'Storage', { quarantine: props.quarantine ?? false, ...key });
    this.work = storage.work;
    this.quarantine = storage.quarantine;
    this.queues = new AuditQueues(this, 'Queues', {
      timeouts: {
        jobs: FUNCTION_TIMEOUTS.plan,
        shards: FUNCTION_TIMEOUTS.preprocess,
        events: FUNCTION_TIMEOUTS.ingest,
        packs: PACK_TIMEOUT,
      },
      oldest: { live: live.oldest, bulk: bulk.oldest },
      alarms: this.alarms,
      ...key,
    });
    const workers = fleet && new WorkerFleet(this, 'Fleet', fleet);
    const settings = checkedSettings(props.pipeline ?? {});
    this.pipelineJson = this.#describePipeline(props, workers);
    const sources = props.sources.map(({ bucket }) => bucket);
    const functions = new AuditFunctions(this, 'Functions', {
      code: props.functionCode,
      layer: props.decoderLayer,
      work: this.work,
      queues: this.queues,
      sources,
      pipeline: this.pipelineJson,
      preprocessConcurrency: settings.preprocess.concurrency,
      ingestConcurrency: live.concurrency,
      ingestWindow: live.gatherFor,
      alarms: this.alarms,
    });
    if (workers !== undefined) {
      const buildsEngines = fleet?.buildsEngines ?? true;
      allowWorker(workers.taskRole, {
        storage,
        queues: this.queues,
        sources,
        actions: settings.actions,
        handsOn: settings.cascade !== undefined,
        buildsEngines,
      });
      functions.mayWake(workers.group.autoScalingGroupArn);
      workers.run({ pipeline: this.pipelineJson });
    }
    for (const { bucket, events, backfills = [] } of props.sources) {
      if (events !== undefined) functions.listenTo(bucket, events);
      for (const backfill of backfills) {
        this.#backfillRegularly(bucket, backfill);
        const { inventory } = backfill;
        if (inventory !== undefined) mayRead(functions.plan, inventory.reports, [`${inventory.folder}*`]);
      }
    }
    const watch = new AuditWatch(this, 'Watch', {
      alarms: this.alarms,
      queues: this.queues,
      pipelineName: this.work.bucketName,
      imagesPerShard: settings.shardSize,
      imagesPerPack: settings.packSize,
      drainWithin: bulk.drainWithin,
    });
    const scaling =
      workers && new FleetScaling(this, 'Scaling', { group: workers.group, queues: this.queues });
    new AuditDashboard(this, 'Overview', {
      queues: this.queues,
      functions,
      alarms: this.alarms,
      watch,
      ...(workers && scaling && { fleet: { workers, scaling } }),
    });
    const tag = { key: COST_TAG, value: Stack.of(this).stackName };
    Tags.of(this).add(tag.key, tag.value);
    if (budget !== undefined)
      new AuditBudget(this, 'Budget', { usd: budget.monthlyUsd, email: budget.email, tag });
  }

  #describePipeline({ pipeline = {} }: ImageAuditProps, workers: WorkerFleet | undefined): string {
    const { jobs, shards, events, live, bulk, verdicts } = this.queues;
    const actions = [...((pipeline['actions'] as object[] | undefined) ?? [])];
    if (this.quarantine !== undefined) {
      actions.push({
        on: ['reject'],
        lanes: ['live', 'bulk'],
        quarantine: `s3://${this.quarantine.bucketName}/`,
      });
    }
    return Stack.of(this).toJsonString({
      ...pipeline,
      ...(workers && {
        worker: { providers: GPU_PROVIDERS, ...(pipeline['worker'] as object | undefined) },
        fleet: { autoScalingGroup: workers.group.autoScalingGroupName },
      }),
      actions,
      work: `s3://${this.work.bucketName}/`,
      queues: {
        jobs: jobs.queueUrl,
        shards: shards.queueUrl,
        events: events.queueUrl,
        live: live.queueUrl,
        bulk: bulk.queueUrl,
        verdicts: verdicts.queueUrl,
      },
    });
  }

  #backfillRegularly(bucket: IBucket, backfill: RegularBackfill): void {
    const { inventory } = backfill;
    const source =
      inventory === undefined
        ? { kind: 'prefix', prefix: backfill.prefix ?? '' }
        : { kind: 'inventory', reports: inventory.reports.bucketName, manifest: inventory.folder };
    const message = {
      v: 1,
      type: 'submit',
      name: backfill.name,
      source: { ...source, bucket: bucket.bucketName },
      filter: backfill.filter ?? {},
      incremental: backfill.incremental ?? true,
      // The time for which it was set: a second delivery is the same job.
      at: ContextAttribute.scheduledTime,
    };
    new Schedule(this, `Backfill-${backfill.name}`, {
      schedule: backfill.schedule,
      timeWindow: TimeWindow.flexible(backfill.flexibleWindow ?? DEFAULT_WINDOW),
      target: new SqsSendMessage(this.queues.jobs, {
        input: ScheduleTargetInput.fromObject(message),
        role: this.#scheduler,
      }),
      description: `Audits s3://${bucket.bucketName}/${backfill.prefix ?? ''}`,
    });
  }

  #alarmAction(email: string | undefined): SnsAction | undefined {
    if (email === undefined) return undefined;
    const topic = new Topic(this, 'AlarmTopic', { enforceSSL: true });
    topic.addSubscription(new EmailSubscription(email));
    // A topic with a policy of its own is closed to alarms until it says otherwise.
    topic.grantPublish(
      new ServicePrincipal('cloudwatch.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    return new SnsAction(topic);
  }
}

/** Settings are checked here and not by the first function that fails on them. */
function checkedSettings(settings: Readonly<Record<string, unknown>>): PipelineConfig {
  const queues = Object.fromEntries(
    ['jobs', 'shards', 'events', 'live', 'bulk', 'verdicts'].map((name) => [name, PLACEHOLDER_QUEUE]),
  );
  return PipelineConfig.parse({ ...settings, work: 's3://placeholder/', queues });
}

/** A schedule from the text of an environment. */
export function scheduleOf(expression: string, timeZone: string): ScheduleExpression {
  return ScheduleExpression.expression(expression, TimeZone.of(timeZone));
}
