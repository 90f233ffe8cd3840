import { Duration, Size, Stack, Validations } from 'aws-cdk-lib';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction, SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Architecture, Code, Function as LambdaFn, LayerVersion, Runtime } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Bucket, IBucket } from 'aws-cdk-lib/aws-s3';
import type { IQueue, Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { AuditQueues } from './audit-queues.ts';

/** 1,769 MB is one vCPU of Lambda; decoding uses two. Source: "Configure Lambda function memory" in the Lambda guide. */
const ONE_CPU_MIB = 1769;

/** How long each function may take for one event. Queues derive their visibility time-outs from these. */
export const FUNCTION_TIMEOUTS = {
  plan: Duration.minutes(15),
  preprocess: Duration.minutes(5),
  ingest: Duration.minutes(2),
  finalize: Duration.minutes(15),
} as const;

/** What is asked of a bucket here: its names. */
type AnyBucket = Pick<IBucket, 'bucketArn' | 'arnForObjects'>;

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
}

/** The four functions, what invokes them, and what each may do: no more than it does. */
export class AuditFunctions extends Construct {
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

    const plan = this.#function('plan', 3 * ONE_CPU_MIB);
    plan.addEventSource(
      new SqsEventSource(queues.jobs, { batchSize: 1, reportBatchItemFailures: true, maxConcurrency: 2 }),
    );
    mayReceive(plan, queues, queues.jobs);
    maySend(plan, queues.jobs, queues.shards);
    // Lists of keys and inventories may lie beside the images.
    for (const source of sources) mayRead(plan, source);
    mayWork(plan, props.work, ['jobs/*', 'shards/*', 'open/*', 'latest/*']);

    const preprocess = this.#function('preprocess', 2 * ONE_CPU_MIB);
    preprocess.addEventSource(
      new SqsEventSource(queues.shards, {
        batchSize: 1,
        reportBatchItemFailures: true,
        maxConcurrency: props.preprocessConcurrency,
      }),
    );
    mayReceive(preprocess, queues, queues.shards);
    maySend(preprocess, queues.bulk, queues.shards);
    for (const source of sources) mayRead(preprocess, source);
    mayWork(preprocess, props.work, ['jobs/*', 'shards/*', 'packs/*', 'parts/*']);

    const ingest = this.#function('ingest', 2 * ONE_CPU_MIB);
    // No batching window: somebody waits for the verdict.
    ingest.addEventSource(
      new SqsEventSource(queues.events, { batchSize: 10, reportBatchItemFailures: true, maxConcurrency: 50 }),
    );
    mayReceive(ingest, queues, queues.events);
    maySend(ingest, queues.live);
    for (const source of sources) mayRead(ingest, source);
    mayWork(ingest, props.work, ['packs/*', 'parts/*']);

    const finalize = this.#function('finalize', 3 * ONE_CPU_MIB, 1);
    new Rule(this, 'EveryMinute', {
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new LambdaFunction(finalize, { retryAttempts: 0 })],
      description: 'Completes the jobs of the pipeline.',
    });
    for (const queue of [queues.jobs, queues.shards, queues.events, queues.live, queues.bulk]) {
      queue.grant(finalize, 'sqs:GetQueueAttributes', 'sqs:GetQueueUrl');
      deadLettersOf(queues, queue).grantConsumeMessages(finalize);
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
    ]);
  }

  /** Puts the events of new objects of a bucket into the queue. The bucket must send its events to EventBridge. */
  listenTo(bucket: IBucket, events: IQueue): void {
    new Rule(this, `New-${bucket.node.id}`, {
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: { bucket: { name: [bucket.bucketName] } },
      },
      targets: [new SqsQueue(events)],
      description: 'New objects go to the live lane.',
    });
  }

  #function(name: FunctionName, memorySize: number, reservedConcurrentExecutions?: number): LambdaFn {
    const { code, pipeline } = this.#props;
    const fn = new LambdaFn(this, name.charAt(0).toUpperCase() + name.slice(1), {
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      code: Code.fromAsset(code),
      handler: `functions/${name}.handler`,
      layers: [this.#layer],
      memorySize,
      timeout: FUNCTION_TIMEOUTS[name],
      ephemeralStorageSize: Size.mebibytes(512),
      environment: { SLUICE_PIPELINE: pipeline },
      logGroup: new LogGroup(this, `${name}Logs`, { retention: RetentionDays.ONE_MONTH }),
      ...(reservedConcurrentExecutions !== undefined && { reservedConcurrentExecutions }),
    });
    Validations.of(fn).acknowledge({
      id: 'AwsSolutions::AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]',
      reason: 'It allows to write logs, and nothing else.',
    });
    return fn;
  }
}

/**
 * What a function does in the work bucket: under some prefixes, whose keys are made as jobs go. Without `s3:ListBucket`
 * S3 answers 403 for an object that is not there, and nobody could tell it from one that is forbidden.
 */
function mayWork(fn: LambdaFn, work: AnyBucket, prefixes: readonly string[]): void {
  const resources = prefixes.map((prefix) => work.arnForObjects(prefix));
  for (const resource of resources) {
    acknowledgeWildcard(
      fn,
      resource,
      'Keys of a job have no names before the job: the prefix is as narrow as it gets.',
    );
  }
  fn.addToRolePolicy(
    new PolicyStatement({
      actions: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
      resources,
    }),
  );
  mayList(fn, work);
}

function mayRead(fn: LambdaFn, bucket: AnyBucket): void {
  acknowledgeWildcard(fn, bucket.arnForObjects('*'), 'Any image of the bucket may be audited.');
  fn.addToRolePolicy(
    new PolicyStatement({ actions: ['s3:GetObject'], resources: [bucket.arnForObjects('*')] }),
  );
  mayList(fn, bucket);
}

function mayList(fn: LambdaFn, bucket: AnyBucket): void {
  fn.addToRolePolicy(new PolicyStatement({ actions: ['s3:ListBucket'], resources: [bucket.bucketArn] }));
}

/** cdk-nag names a wildcard by its resource, with tokens in angle brackets. */
function acknowledgeWildcard(fn: LambdaFn, resource: string, reason: string): void {
  const joined = Stack.of(fn).resolve(resource) as {
    'Fn::Join': [string, (string | Record<string, unknown>)[]];
  };
  const text = joined['Fn::Join'][1]
    .map((piece) => {
      if (typeof piece === 'string') return piece;
      const [id, attribute] = (piece['Fn::GetAtt'] as [string, string] | undefined) ?? [];
      return id === undefined ? `<${String(piece['Ref'])}>` : `<${id}.${attribute}>`;
    })
    .join('');
  Validations.of(fn).acknowledge({ id: `AwsSolutions::AwsSolutions-IAM5[Resource::${text}]`, reason });
}

/** Receiving, and giving messages up with a reason. */
function mayReceive(fn: LambdaFn, queues: AuditQueues, queue: Queue): void {
  queue.grantConsumeMessages(fn);
  deadLettersOf(queues, queue).grantSendMessages(fn);
}

function maySend(fn: LambdaFn, ...queues: readonly Queue[]): void {
  // Whoever opens a queue looks at its settings, and for its dead letters.
  for (const queue of queues) {
    queue.grantSendMessages(fn);
    queue.grant(fn, 'sqs:GetQueueAttributes', 'sqs:GetQueueUrl');
  }
}

function deadLettersOf(queues: AuditQueues, queue: Queue): Queue {
  return queues.deadLetters.get(queue) as Queue;
}
