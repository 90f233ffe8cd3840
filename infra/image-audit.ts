import { Duration, Stack, TimeZone } from 'aws-cdk-lib';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
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
import { AuditFunctions, FUNCTION_TIMEOUTS } from './audit-functions.ts';
import { AuditQueues } from './audit-queues.ts';
import { AuditStorage } from './audit-storage.ts';

/** A regular backfill of a bucket. */
export interface RegularBackfill {
  /** Jobs are named after it and the time: `nightly-202611200100`. */
  readonly name: string;
  readonly prefix?: string;
  readonly filter?: object;
  readonly schedule: ScheduleExpression;
  /** Only what is new or changed. @default true */
  readonly incremental?: boolean;
}

export interface AuditSource {
  readonly bucket: IBucket;
  /** Audit new objects as their events come; the bucket must send its events to EventBridge. @default false */
  readonly live?: boolean;
  readonly backfills?: readonly RegularBackfill[];
}

export interface ImageAuditProps {
  readonly sources: readonly AuditSource[];
  /** The folder that `bundleFunctions` wrote. */
  readonly functionCode: string;
  /** The folder of the layer with the decoders. */
  readonly decoderLayer: string;
  /** Settings of the pipeline but its place and queues. @default those of core/pipeline-config.ts */
  readonly pipeline?: Readonly<Record<string, unknown>>;
  /** Where alarms are sent. @default nowhere: they are shown only */
  readonly alarmEmail?: string;
}

/** A worker has as long for one delivery; its heartbeats extend it. */
const PACK_TIMEOUT = Duration.seconds(30);
/** Backfills need not begin on the minute: spread over a while they cost AWS, and so nobody, a peak. */
const FLEXIBLE_WINDOW = Duration.minutes(15);
const PLACEHOLDER_QUEUE = 'https://sqs.invalid/queue';

/**
 * A pipeline of Sluice in an AWS account, as far as it is made of functions: work bucket, queues with their dead letters
 * and alarms, the four functions, regular backfills, the wiring of S3 events. Workers are not part of it.
 *
 * @example
 * new ImageAudit(this, 'Audit', {
 *   sources: [{ bucket: photos, live: true }],
 *   functionCode: 'dist/functions',
 *   decoderLayer: 'dist/decoder-layer',
 * });
 */
export class ImageAudit extends Construct {
  readonly work: Bucket;
  readonly queues: AuditQueues;
  /** What workers and the command line read as `sluice.pipeline.json`. */
  readonly pipelineJson: string;

  constructor(scope: Construct, id: string, props: ImageAuditProps) {
    super(scope, id);
    const settings = checkedSettings(props.pipeline ?? {});
    const alarmAction = props.alarmEmail === undefined ? undefined : this.#alarmAction(props.alarmEmail);
    this.work = new AuditStorage(this, 'Storage').work;
    this.queues = new AuditQueues(this, 'Queues', {
      timeouts: {
        jobs: FUNCTION_TIMEOUTS.plan,
        shards: FUNCTION_TIMEOUTS.preprocess,
        events: FUNCTION_TIMEOUTS.ingest,
        packs: PACK_TIMEOUT,
      },
      ...(alarmAction && { alarmAction }),
    });
    const { jobs, shards, events, live, bulk, verdicts } = this.queues;
    this.pipelineJson = Stack.of(this).toJsonString({
      ...props.pipeline,
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
    const functions = new AuditFunctions(this, 'Functions', {
      code: props.functionCode,
      layer: props.decoderLayer,
      work: this.work,
      queues: this.queues,
      sources: props.sources.map(({ bucket }) => bucket),
      pipeline: this.pipelineJson,
      preprocessConcurrency: settings.preprocess.concurrency,
    });
    for (const { bucket, live: isLive, backfills = [] } of props.sources) {
      if (isLive === true) functions.listenTo(bucket, events);
      for (const backfill of backfills) this.#backfillRegularly(bucket, backfill);
    }
  }

  #backfillRegularly(bucket: IBucket, backfill: RegularBackfill): void {
    const message = {
      v: 1,
      type: 'submit',
      name: backfill.name,
      source: { kind: 'prefix', bucket: bucket.bucketName, prefix: backfill.prefix ?? '' },
      filter: backfill.filter ?? {},
      incremental: backfill.incremental ?? true,
      // The time for which it was set: a second delivery is the same job.
      at: ContextAttribute.scheduledTime,
    };
    new Schedule(this, `Backfill-${backfill.name}`, {
      schedule: backfill.schedule,
      timeWindow: TimeWindow.flexible(FLEXIBLE_WINDOW),
      target: new SqsSendMessage(this.queues.jobs, { input: ScheduleTargetInput.fromObject(message) }),
      description: `Audits s3://${bucket.bucketName}/${backfill.prefix ?? ''}`,
    });
  }

  #alarmAction(email: string): SnsAction {
    const topic = new Topic(this, 'Alarms', { enforceSSL: true });
    topic.addSubscription(new EmailSubscription(email));
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
