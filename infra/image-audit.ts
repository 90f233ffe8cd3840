import { Duration, Stack, Tags, TimeZone } from 'aws-cdk-lib';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
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
import { ScalingRule } from '#core/fleet-scaling.ts';
import { acknowledge } from './acknowledge.ts';
import { AuditAlarms } from './alarms.ts';
import { AuditBudget } from './audit-budget.ts';
import { AuditDashboard } from './audit-dashboard.ts';
import { AuditFunctions, FUNCTION_TIMEOUTS } from './audit-functions.ts';
import { AuditQueues } from './audit-queues.ts';
import { AuditStorage } from './audit-storage.ts';
import { AuditWatch } from './audit-watch.ts';
import { FleetScaling } from './fleet-scaling.ts';
import type { ImageAuditProps, RegularBackfill } from './image-audit-props.ts';
import {
  checkedPipeline,
  inFunction,
  type PipelinePlaces,
  placesOf,
  settingsOf,
} from './pipeline-description.ts';
import { RUNBOOK } from './runbook.ts';
import { WorkerFleet } from './worker-fleet.ts';
import { allowWorker } from './worker-permissions.ts';

/** A worker has as long for one delivery; its heartbeats extend it. */
const PACK_TIMEOUT = Duration.seconds(30);
const DEFAULT_WINDOW = Duration.minutes(15);
const DEFAULT_LIVE = { oldest: Duration.minutes(5), gatherFor: Duration.seconds(0), concurrency: 50 };
const DEFAULT_BULK = { oldest: Duration.hours(6), drainWithin: Duration.hours(12) };
/** By this tag a pipeline's costs are told apart. */
const COST_TAG = 'sluice:pipeline';

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
  /** The roles of functions and workers: what buckets of other accounts are to admit. */
  readonly roles: readonly Role[];
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
    this.alarms = new AuditAlarms(this, 'Alarms', {
      runbookUrl: props.runbookUrl ?? RUNBOOK,
      ...(props.alarmEmail !== undefined && { action: this.#alarmAction(props.alarmEmail) }),
    });
    const storage = new AuditStorage(this, 'Storage', { quarantine: props.quarantine ?? false, ...key });
    this.work = storage.work;
    this.quarantine = storage.quarantine;
    const given = props.pipeline ?? {};
    const rule = ScalingRule.parse({
      minWorkers: fleet?.minWorkers,
      maxWorkers: fleet?.maxWorkers,
      growAtPacks: fleet?.growAtPacks,
    });
    const parts = {
      ...(fleet && { maxWorkers: rule.maxWorkers, growAtPacks: rule.growAtPacks }),
      hasQuarantine: this.quarantine !== undefined,
    };
    const settings = checkedPipeline(given, parts);
    this.queues = new AuditQueues(this, 'Queues', {
      timeouts: {
        jobs: FUNCTION_TIMEOUTS.plan,
        shards: FUNCTION_TIMEOUTS.preprocess,
        events: FUNCTION_TIMEOUTS.ingest,
        packs: PACK_TIMEOUT,
      },
      oldest: { live: live.oldest, bulk: bulk.oldest },
      sendsVerdicts: settings.actions.some(({ send }) => send),
      alarms: this.alarms,
      ...key,
    });
    const workers = fleet && new WorkerFleet(this, 'Fleet', fleet);
    const places = placesOf(given, this.#places(workers));
    this.pipelineJson = Stack.of(this).toJsonString({ ...settingsOf(given, parts), ...places });
    const sources = props.sources.map(({ bucket }) => bucket);
    const functions = new AuditFunctions(this, 'Functions', {
      code: props.functionCode,
      layer: props.decoderLayer,
      work: this.work,
      queues: this.queues,
      sources,
      reports: props.reports ?? [],
      settings: settingsOf(given, parts),
      pipeline: Stack.of(this).toJsonString(inFunction(places)),
      preprocessConcurrency: settings.preprocess.concurrency,
      ingestConcurrency: live.concurrency,
      ingestWindow: live.gatherFor,
      finalizesAlone: props.finalizesAlone ?? true,
      alarms: this.alarms,
    });
    this.roles = [...functions.roles, ...(workers ? [workers.taskRole] : [])];
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
        if (inventory !== undefined) functions.mayPlanFrom(inventory.reports, inventory.folder);
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
      workers &&
      new FleetScaling(this, 'Scaling', {
        group: workers.group,
        queues: this.queues,
        alarms: this.alarms,
        rule,
      });
    new AuditDashboard(this, 'Overview', {
      queues: this.queues,
      functions,
      alarms: this.alarms,
      watch,
      ...(workers && scaling && { fleet: { workers, scaling } }),
    });
    // By its path: a stack may hold several pipelines.
    const tag = { key: COST_TAG, value: this.node.path };
    Tags.of(this).add(tag.key, tag.value);
    if (budget !== undefined)
      new AuditBudget(this, 'Budget', { usd: budget.monthlyUsd, email: budget.email, tag });
  }

  #places(workers: WorkerFleet | undefined): PipelinePlaces {
    const { jobs, shards, events, live, bulk, verdicts } = this.queues;
    return {
      work: `s3://${this.work.bucketName}/`,
      queues: {
        jobs: jobs.queueUrl,
        shards: shards.queueUrl,
        events: events.queueUrl,
        live: live.queueUrl,
        bulk: bulk.queueUrl,
        verdicts: verdicts.queueUrl,
      },
      ...(workers && { group: workers.group.autoScalingGroupName }),
      ...(this.quarantine && { quarantine: `s3://${this.quarantine.bucketName}/` }),
    };
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
      ...(backfill.budget && { budget: backfill.budget }),
      // The time for which it was set: a second delivery is the same job.
      at: ContextAttribute.scheduledTime,
    };
    // Jobs are named after it: of two with one name, the second would be taken for a repetition of the first.
    if (this.node.tryFindChild(`Backfill-${backfill.name}`) !== undefined)
      throw new Error(`there are two backfills "${backfill.name}": expected a name of its own for each`);
    new Schedule(this, `Backfill-${backfill.name}`, {
      schedule: backfill.schedule,
      timeWindow: TimeWindow.flexible(backfill.flexibleWindow ?? DEFAULT_WINDOW),
      target: new SqsSendMessage(this.queues.jobs, {
        input: ScheduleTargetInput.fromObject(message),
        role: this.#scheduler,
        // What cannot be submitted ends where the alarm on dead letters sees it.
        deadLetterQueue: this.queues.deadLettersOf(this.queues.jobs),
      }),
      description: `Audits s3://${bucket.bucketName}/${backfill.prefix ?? ''}`,
    });
  }

  #alarmAction(email: string): SnsAction {
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

/** A schedule from the text of an environment. */
export function scheduleOf(expression: string, timeZone: string): ScheduleExpression {
  return ScheduleExpression.expression(expression, TimeZone.of(timeZone));
}
