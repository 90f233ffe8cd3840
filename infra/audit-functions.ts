import { Duration, Size, Stack } from 'aws-cdk-lib';
import { MathExpression } from 'aws-cdk-lib/aws-cloudwatch';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction, SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Architecture, Code, Function as LambdaFn, LayerVersion, Runtime } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { type Bucket, EventType, type IBucket } from 'aws-cdk-lib/aws-s3';
import { SqsDestination } from 'aws-cdk-lib/aws-s3-notifications';
import { Construct } from 'constructs';
import { acknowledge, acknowledgeWildcard } from './acknowledge.ts';
import type { AuditAlarms } from './alarms.ts';
import type { AuditQueues } from './audit-queues.ts';
import { mayLookAt, mayRead, maySend, mayWork } from './grants.ts';

/**
 * 1,769 MB is one vCPU of Lambda; source: "Configure Lambda function memory" in the Lambda guide. Memory is bought for the
 * processors in it: two decode 1.84 to 1.89 times as fast as one (`npm run bench -- preprocess`), for 6 to 9 % more money
 * and half the time, and need 519 MiB at their peak over photos of 12 megapixels (`npm run bench -- memory`). The rest is
 * for pictures near the pixel limit, of which an AVIF takes 1.3 GB. Planning and finalizing keep the last job's rows in
 * memory, 12 and some hundred bytes an image.
 */
const ONE_CPU_MIB = 1769;
const MEMORY_MIB = {
  plan: 3 * ONE_CPU_MIB,
  preprocess: 2 * ONE_CPU_MIB,
  ingest: 2 * ONE_CPU_MIB,
  finalize: 3 * ONE_CPU_MIB,
} as const;

/** How long each function may take for one event. Queues derive their visibility time-outs from these. */
export const FUNCTION_TIMEOUTS = {
  plan: Duration.minutes(15),
  preprocess: Duration.minutes(5),
  ingest: Duration.minutes(2),
  finalize: Duration.minutes(15),
} as const;

const BASIC_EXECUTION =
  'IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]';
const ONLY_LOGS = 'It allows to write logs, and nothing else.';
/** Of a handful of invocations, one may fail without anybody having to get up. */
const FAILING_PERCENT = 20;

type FunctionName = keyof typeof FUNCTION_TIMEOUTS;

export interface AuditFunctionsProps {
  /** The folder that `bundleFunctions` wrote. */
  readonly code: string;
  /** The folder of the layer with sharp for linux-arm64; see infra/packages/build-layer.ts. */
  readonly layer: string;
  readonly work: Bucket;
  readonly queues: AuditQueues;
  readonly sources: readonly IBucket[];
  /** What SLUICE_PIPELINE is to be. */
  readonly pipeline: string;
  /** Invocations of `preprocess` at the same time; the pipeline's backlog limit reckons with it. */
  readonly preprocessConcurrency: number;
  /** Invocations of `ingest` at the same time. */
  readonly ingestConcurrency: number;
  /** How long new objects are gathered before `ingest` is invoked with up to ten of them. */
  readonly ingestWindow: Duration;
  readonly alarms: AuditAlarms;
}

/** How a bucket tells of its new objects. */
export const ObjectEvents = {
  /** By EventBridge, which the bucket must send its events to: for buckets that belong to others. */
  EVENT_BRIDGE: 'event-bridge',
  /** By a notification straight into the queue: for buckets whose notifications this stack may set. */
  NOTIFICATION: 'notification',
} as const;
export type ObjectEvents = (typeof ObjectEvents)[keyof typeof ObjectEvents];

/** The four functions, what invokes them, and what each may do: no more than it does. */
export class AuditFunctions extends Construct {
  readonly plan: LambdaFn;
  readonly preprocess: LambdaFn;
  readonly ingest: LambdaFn;
  readonly finalize: LambdaFn;
  readonly #props: AuditFunctionsProps;
  readonly #layer: LayerVersion;

  constructor(scope: Construct, id: string, props: AuditFunctionsProps) {
    super(scope, id);
    this.#props = props;
    const { queues, sources } = props;
    this.#layer = new LayerVersion(this, 'Decoders', {
      code: Code.fromAsset(props.layer),
      compatibleArchitectures: [Architecture.ARM_64],
      description: 'sharp and libheif-js',
    });

    const plan = this.#function('plan');
    plan.addEventSource(
      new SqsEventSource(queues.jobs, { batchSize: 1, reportBatchItemFailures: true, maxConcurrency: 2 }),
    );
    queues.mayReceive(plan, queues.jobs);
    maySend(plan, queues.jobs, queues.shards);
    // Lists of keys and inventories may lie beside the images.
    for (const source of sources) mayRead(plan, source);
    mayWork(plan, props.work, ['jobs/*', 'shards/*', 'open/*', 'latest/*']);

    const preprocess = this.#function('preprocess');
    preprocess.addEventSource(
      new SqsEventSource(queues.shards, {
        batchSize: 1,
        reportBatchItemFailures: true,
        maxConcurrency: props.preprocessConcurrency,
      }),
    );
    queues.mayReceive(preprocess, queues.shards);
    maySend(preprocess, queues.bulk, queues.shards);
    for (const source of sources) mayRead(preprocess, source);
    mayWork(preprocess, props.work, ['jobs/*', 'shards/*', 'packs/*', 'parts/*']);

    const ingest = this.#function('ingest');
    ingest.addEventSource(
      new SqsEventSource(queues.events, {
        batchSize: 10,
        maxBatchingWindow: props.ingestWindow,
        reportBatchItemFailures: true,
        maxConcurrency: props.ingestConcurrency,
      }),
    );
    queues.mayReceive(ingest, queues.events);
    maySend(ingest, queues.live);
    for (const source of sources) mayRead(ingest, source);
    mayWork(ingest, props.work, ['packs/*', 'parts/*']);

    const finalize = this.#function('finalize', 1);
    new Rule(this, 'EveryMinute', {
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new LambdaFunction(finalize, { retryAttempts: 0 })],
      description: 'Completes the jobs of the pipeline.',
    });
    for (const queue of [queues.jobs, queues.shards, queues.events, queues.live, queues.bulk]) {
      mayLookAt(finalize, queue);
      queues.deadLettersOf(queue).grantConsumeMessages(finalize);
    }
    for (const source of sources) mayRead(finalize, source);
    mayWork(finalize, props.work, [
      'jobs/*',
      'shards/*',
      'parts/*',
      'results/*',
      'dead/*',
      'latest/*',
      'open/*',
      'workers/*',
    ]);
    this.plan = plan;
    this.preprocess = preprocess;
    this.ingest = ingest;
    this.finalize = finalize;
  }

  /** Lets the functions that find work wake the group of the workers. */
  mayWake(groupArn: string): void {
    for (const fn of [this.plan, this.ingest]) {
      acknowledgeWildcard(
        fn,
        groupArn,
        'The ARN of a group holds an id that only AWS knows; its name is whole.',
      );
      fn.addToRolePolicy(
        new PolicyStatement({ actions: ['autoscaling:SetDesiredCapacity'], resources: [groupArn] }),
      );
      // The action knows no resources: see "Actions, resources, and condition keys for EC2 Auto Scaling".
      acknowledge(fn, 'IAM5[Resource::*]', 'autoscaling:Describe* takes no resource; it only reads.');
      fn.addToRolePolicy(
        new PolicyStatement({ actions: ['autoscaling:DescribeAutoScalingGroups'], resources: ['*'] }),
      );
    }
  }

  /** Puts the events of new objects of a bucket into the queue. */
  listenTo(bucket: IBucket, events: ObjectEvents): void {
    const { queues } = this.#props;
    if (events === ObjectEvents.NOTIFICATION) {
      bucket.addEventNotification(EventType.OBJECT_CREATED, new SqsDestination(queues.events));
      this.#acknowledgeNotifier();
      return;
    }
    new Rule(this, `New-${bucket.node.id}`, {
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: { bucket: { name: [bucket.bucketName] } },
      },
      targets: [new SqsQueue(queues.events)],
      description: 'New objects go to the live lane.',
    });
  }

  /** The function by which the CDK sets notifications; it stands in the stack and not in this construct. */
  #acknowledgeNotifier(): void {
    const { children } = Stack.of(this).node;
    const notifier = children.find(({ node }) => node.id.startsWith('BucketNotificationsHandler'));
    if (notifier !== undefined) acknowledge(notifier, BASIC_EXECUTION, ONLY_LOGS);
  }

  #function(name: FunctionName, reservedConcurrentExecutions?: number): LambdaFn {
    const { code, pipeline, alarms } = this.#props;
    const fn = new LambdaFn(this, name.charAt(0).toUpperCase() + name.slice(1), {
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      code: Code.fromAsset(code),
      handler: `functions/${name}.handler`,
      layers: [this.#layer],
      memorySize: MEMORY_MIB[name],
      timeout: FUNCTION_TIMEOUTS[name],
      ephemeralStorageSize: Size.mebibytes(512),
      environment: { SLUICE_PIPELINE: pipeline },
      logGroup: new LogGroup(this, `${name}Logs`, { retention: RetentionDays.ONE_MONTH }),
      ...(reservedConcurrentExecutions !== undefined && { reservedConcurrentExecutions }),
    });
    acknowledge(fn, BASIC_EXECUTION, ONLY_LOGS);
    alarms.watch(`${name}Errors`, {
      metric: errorShare(fn),
      threshold: FAILING_PERCENT,
      periods: 3,
      meaning: `${FAILING_PERCENT} % of the invocations of ${name} fail, three times five minutes long.`,
      runbook: 'failing-functions',
    });
    return fn;
  }
}

/** Percent of a function's invocations. */
export function errorShare(fn: LambdaFn): MathExpression {
  const period = Duration.minutes(5);
  // Expressions that share a graph share their ids.
  const name = fn.node.id.toLowerCase();
  return new MathExpression({
    expression: `100 * ${name}Errors / MAX([${name}Calls, 1])`,
    usingMetrics: {
      [`${name}Errors`]: fn.metricErrors({ period, statistic: 'Sum' }),
      [`${name}Calls`]: fn.metricInvocations({ period, statistic: 'Sum' }),
    },
    label: `${name}: failed, %`,
    period,
  });
}
