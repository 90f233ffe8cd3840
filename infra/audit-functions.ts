import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Duration, FileSystem, Size } from 'aws-cdk-lib';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction, SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Code, Function as LambdaFn, LayerVersion, Runtime } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { type Bucket, EventType, type IBucket } from 'aws-cdk-lib/aws-s3';
import { SqsDestination } from 'aws-cdk-lib/aws-s3-notifications';
import { Construct } from 'constructs';
import { acknowledge, acknowledgeWildcard } from './acknowledge.ts';
import type { AuditAlarms } from './alarms.ts';
import type { AuditQueues } from './audit-queues.ts';
import { FunctionWatch } from './function-watch.ts';
import { mayRead, mayWork } from './grants.ts';
import { SETTINGS_FILE } from './pipeline-description.ts';

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

type FunctionName = keyof typeof FUNCTION_TIMEOUTS;

export interface AuditFunctionsProps {
  /** The folder that `bundleFunctions` wrote. */
  readonly code: string;
  /** The folder of the layer with binaries for linux-arm64; see infra/packages/build-layer.ts. */
  readonly layer: string;
  readonly work: Bucket;
  readonly queues: AuditQueues;
  readonly sources: readonly IBucket[];
  /** Buckets with lists of what there is to audit. */
  readonly reports: readonly IBucket[];
  /** What SLUICE_PIPELINE is to be. It names the file that the settings are in. */
  readonly pipeline: string;
  readonly settings: object;
  /** Invocations of `preprocess` at the same time; the pipeline's backlog limit reckons with it. */
  readonly preprocessConcurrency: number;
  /** Invocations of `ingest` at the same time. */
  readonly ingestConcurrency: number;
  /** How long new objects are gathered before `ingest` is invoked with up to ten of them. */
  readonly ingestWindow: Duration;
  /** Whether `finalize` never runs twice at the same time. */
  readonly finalizesAlone: boolean;
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
  readonly watch: FunctionWatch;
  readonly #props: AuditFunctionsProps;
  readonly #layers: readonly LayerVersion[];
  readonly #roles = new Map<FunctionName, Role>();
  readonly #logs = new Map<FunctionName, LogGroup>();

  constructor(scope: Construct, id: string, props: AuditFunctionsProps) {
    super(scope, id);
    this.#props = props;
    const { queues, sources } = props;
    this.watch = new FunctionWatch(this, 'Watch', { alarms: props.alarms });
    const decoders = new LayerVersion(this, 'Decoders', {
      code: Code.fromAsset(props.layer),
      compatibleArchitectures: [Architecture.ARM_64],
      description: 'sharp, libheif-js and hashes',
    });
    this.#layers = [decoders, this.#settingsLayer(props.settings)];

    this.plan = this.#function('plan');
    this.plan.addEventSource(
      new SqsEventSource(queues.jobs, { batchSize: 1, reportBatchItemFailures: true, maxConcurrency: 2 }),
    );
    const plan = this.#roleOf('plan');
    queues.mayReceive(plan, queues.jobs);
    queues.maySend(plan, queues.jobs, queues.shards);
    // Lists of keys and inventories may lie beside the images.
    for (const bucket of [...sources, ...props.reports]) mayRead(plan, bucket);
    mayWork(plan, props.work, {
      // The last job's rows are taken over; within a budget, parts and dead letters tell what is done.
      read: ['jobs/*', 'shards/*', 'latest/*', 'results/audit/*', 'parts/*', 'dead/*'],
      write: ['jobs/*', 'shards/*', 'open/*'],
      delete: ['jobs/*', 'open/*'],
    });

    this.preprocess = this.#function('preprocess');
    this.preprocess.addEventSource(
      new SqsEventSource(queues.shards, {
        batchSize: 1,
        reportBatchItemFailures: true,
        maxConcurrency: props.preprocessConcurrency,
      }),
    );
    const preprocess = this.#roleOf('preprocess');
    queues.mayReceive(preprocess, queues.shards);
    queues.maySend(preprocess, queues.bulk, queues.shards);
    for (const source of sources) mayRead(preprocess, source);
    mayWork(preprocess, props.work, {
      read: ['jobs/*', 'shards/*', 'packs/*', 'parts/*'],
      write: ['packs/*'],
      // A pack that was damaged is made again.
      delete: ['packs/*'],
    });

    this.ingest = this.#function('ingest');
    this.ingest.addEventSource(
      new SqsEventSource(queues.events, {
        batchSize: 10,
        maxBatchingWindow: props.ingestWindow,
        reportBatchItemFailures: true,
        maxConcurrency: props.ingestConcurrency,
      }),
    );
    const ingest = this.#roleOf('ingest');
    queues.mayReceive(ingest, queues.events);
    queues.maySend(ingest, queues.live);
    for (const source of sources) mayRead(ingest, source);
    mayWork(ingest, props.work, { read: ['packs/*', 'parts/*'], write: ['packs/*'], delete: [] });

    // It runs alone: a large job takes longer than a minute, and is not to be begun anew each minute.
    this.finalize = this.#function('finalize', props.finalizesAlone ? 1 : undefined);
    // What waits for that is stale by the next minute.
    this.finalize.configureAsyncInvoke({ maxEventAge: Duration.minutes(1), retryAttempts: 0 });
    new Rule(this, 'EveryMinute', {
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new LambdaFunction(this.finalize, { retryAttempts: 0 })],
      description: 'Completes the jobs of the pipeline.',
    });
    const finalize = this.#roleOf('finalize');
    for (const queue of [queues.jobs, queues.shards, queues.events, queues.live, queues.bulk]) {
      queues.mayOpen(finalize, queue);
      queues.deadLettersOf(queue).grantConsumeMessages(finalize);
    }
    for (const source of sources) mayRead(finalize, source);
    mayWork(finalize, props.work, {
      read: ['jobs/*', 'shards/*', 'parts/*', 'results/*', 'dead/*', 'latest/*', 'workers/*'],
      write: ['jobs/*', 'results/*', 'dead/*', 'latest/*', 'shards/*/pixels/*'],
      delete: ['open/*', 'workers/*', 'jobs/*/finalizing.json'],
      abort: ['results/*'],
    });
    this.watch.watchJobs(this.#logs.get('plan') as LogGroup, this.#logs.get('finalize') as LogGroup);
  }

  /** The settings as a file: policies of several models are more than a function's environment takes. */
  #settingsLayer(settings: object): LayerVersion {
    const folder = FileSystem.mkdtemp('sluice-settings-');
    const file = join(folder, SETTINGS_FILE);
    mkdirSync(dirname(file));
    writeFileSync(file, JSON.stringify(settings, null, 2));
    return new LayerVersion(this, 'Settings', {
      code: Code.fromAsset(folder),
      compatibleArchitectures: [Architecture.ARM_64],
      description: 'The settings of the pipeline',
    });
  }

  /** Of each function: what buckets of other accounts are to admit. */
  get roles(): readonly Role[] {
    return [...this.#roles.values()];
  }

  /** Lets jobs be planned from the inventory reports below a folder. */
  mayPlanFrom(reports: IBucket, folder: string): void {
    mayRead(this.#roleOf('plan'), reports, [`${folder}*`]);
  }

  #roleOf(name: FunctionName): Role {
    return this.#roles.get(name) as Role;
  }

  /** Lets the functions that find work wake the group of the workers. */
  mayWake(groupArn: string): void {
    for (const role of [this.#roleOf('plan'), this.#roleOf('ingest')]) {
      acknowledgeWildcard(
        role,
        groupArn,
        'The ARN of a group holds an id that only AWS knows; its name is whole.',
      );
      role.addToPolicy(
        new PolicyStatement({ actions: ['autoscaling:SetDesiredCapacity'], resources: [groupArn] }),
      );
      // The action knows no resources: see "Actions, resources, and condition keys for EC2 Auto Scaling".
      acknowledge(role, 'IAM5[Resource::*]', 'autoscaling:Describe* takes no resource; it only reads.');
      role.addToPolicy(
        new PolicyStatement({ actions: ['autoscaling:DescribeAutoScalingGroups'], resources: ['*'] }),
      );
    }
  }

  /** Puts the events of new objects of a bucket into the queue. */
  listenTo(bucket: IBucket, events: ObjectEvents): void {
    const { queues } = this.#props;
    if (events === ObjectEvents.NOTIFICATION) {
      bucket.addEventNotification(EventType.OBJECT_CREATED, new SqsDestination(queues.events));
      return;
    }
    // By its address: two stacks may each have a bucket that is called the same in their code.
    new Rule(this, `New-${bucket.node.addr}`, {
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: { bucket: { name: [bucket.bucketName] } },
      },
      targets: [new SqsQueue(queues.events, { deadLetterQueue: queues.deadLettersOf(queues.events) })],
      description: 'New objects go to the live lane.',
    });
  }

  #function(name: FunctionName, reservedConcurrentExecutions?: number): LambdaFn {
    const { code, pipeline } = this.#props;
    const id = name.charAt(0).toUpperCase() + name.slice(1);
    const logGroup = new LogGroup(this, `${name}Logs`, { retention: RetentionDays.ONE_MONTH });
    // Lambda's own policy for this would let a function write to every log of the account.
    const role = new Role(this, `${id}Role`, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logGroup.grantWrite(role);
    this.#roles.set(name, role);
    this.#logs.set(name, logGroup);
    const fn = new LambdaFn(this, id, {
      role,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      code: Code.fromAsset(code),
      handler: `functions/${name}.handler`,
      layers: [...this.#layers],
      memorySize: MEMORY_MIB[name],
      timeout: FUNCTION_TIMEOUTS[name],
      ephemeralStorageSize: Size.mebibytes(512),
      environment: { SLUICE_PIPELINE: pipeline },
      logGroup,
      ...(reservedConcurrentExecutions !== undefined && { reservedConcurrentExecutions }),
    });
    this.watch.watchErrors(fn, logGroup);
    return fn;
  }
}
