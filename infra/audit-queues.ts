import { Duration, Names, Stack } from 'aws-cdk-lib';
import { MathExpression } from 'aws-cdk-lib/aws-cloudwatch';
import type { IGrantable } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Queue, QueueEncryption, RedrivePermission } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { AuditAlarms } from './alarms.ts';

/** A function's time-out and its queue's visibility time-out: AWS asks for six times as much. */
const VISIBILITY_FACTOR = 6;
const MAX_DELIVERIES = 5;
/** SQS's longest: a dead letter waits for `finalize`, or for whoever mends it. */
const DEAD_LETTERS_KEPT = Duration.days(14);
const ONE_MINUTE = Duration.minutes(1);

export interface AuditQueuesProps {
  /** How long each consumer may take for what it receives at once. */
  readonly timeouts: Readonly<Record<'jobs' | 'shards' | 'events' | 'packs', Duration>>;
  /** How old a message may become before its lane's alarm goes off. */
  readonly oldest: Readonly<Record<'live' | 'bulk', Duration>>;
  /** Whether somebody is to read verdicts. */
  readonly sendsVerdicts: boolean;
  /** @default SQS's own key: it costs nothing */
  readonly encryptionKey?: IKey;
  readonly alarms: AuditAlarms;
}

/** A queue with its dead letters, and an alarm on each: dead letters at all, and the age of the oldest message. */
interface WatchedQueue {
  readonly name: string;
  readonly timeout: Duration;
  /** Left out, no age is too great. */
  readonly oldest?: Duration;
}

/** The queues of a pipeline. Each but `verdicts`, which others read, has a consumer in it. */
export class AuditQueues extends Construct {
  readonly jobs: Queue;
  readonly shards: Queue;
  readonly events: Queue;
  readonly live: Queue;
  readonly bulk: Queue;
  readonly verdicts: Queue;
  /** By the queue they belong to. */
  readonly #deadLetters = new Map<Queue, Queue>();
  readonly #props: AuditQueuesProps;

  constructor(scope: Construct, id: string, props: AuditQueuesProps) {
    super(scope, id);
    this.#props = props;
    const { timeouts, oldest } = props;
    this.jobs = this.#queue({ name: 'Jobs', timeout: timeouts.jobs, oldest: Duration.hours(1) });
    this.shards = this.#queue({ name: 'Shards', timeout: timeouts.shards, oldest: oldest.bulk });
    this.events = this.#queue({ name: 'Events', timeout: timeouts.events, oldest: oldest.live });
    this.live = this.#queue({ name: 'Live', timeout: timeouts.packs, oldest: oldest.live });
    this.bulk = this.#queue({ name: 'Bulk', timeout: timeouts.packs, oldest: oldest.bulk });
    this.verdicts = this.#queue({
      name: 'Verdicts',
      timeout: Duration.seconds(30),
      ...(props.sendsVerdicts && { oldest: Duration.days(1) }),
    });
  }

  #queue({ name, timeout, oldest }: WatchedQueue): Queue {
    const { encryptionKey, alarms } = this.#props;
    const common = {
      enforceSSL: true,
      ...(encryptionKey === undefined
        ? { encryption: QueueEncryption.SQS_MANAGED }
        : { encryption: QueueEncryption.KMS, encryptionMasterKey: encryptionKey }),
    };
    // Each of the two names the other; a name that is known beforehand breaks the circle.
    const queueName = `${Names.uniqueResourceName(this, { maxLength: 60, separator: '-' })}-${name}`;
    const queueArn = Stack.of(this).formatArn({ service: 'sqs', resource: queueName });
    const deadLetters = new Queue(this, `${name}Dead`, {
      ...common,
      retentionPeriod: DEAD_LETTERS_KEPT,
      redriveAllowPolicy: {
        redrivePermission: RedrivePermission.BY_QUEUE,
        sourceQueues: [Queue.fromQueueArn(this, `${name}Arn`, queueArn)],
      },
    });
    const queue = new Queue(this, name, {
      ...common,
      queueName,
      visibilityTimeout: Duration.seconds(timeout.toSeconds() * VISIBILITY_FACTOR),
      retentionPeriod: DEAD_LETTERS_KEPT,
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: MAX_DELIVERIES },
    });
    this.#deadLetters.set(queue, deadLetters);
    alarms.watch(`${name}Dead`, {
      metric: deadLettersSeen(deadLetters),
      threshold: 1,
      meaning: `Messages of ${name} were given up.`,
      runbook: 'dead-letters',
    });
    // Nobody reads what nobody sends.
    if (oldest === undefined) return queue;
    alarms.watch(`${name}Oldest`, {
      metric: queue.metricApproximateAgeOfOldestMessage({ period: ONE_MINUTE, statistic: 'Maximum' }),
      threshold: oldest.toSeconds(),
      meaning: `The oldest message of ${name} has waited for ${oldest.toHumanString()}: its consumer lags behind, or stands still.`,
      runbook: 'old-messages',
    });
    return queue;
  }

  /** With their names. */
  get all(): readonly (readonly [string, Queue])[] {
    return [...this.#deadLetters.keys()].map((queue) => [queue.node.id.toLowerCase(), queue]);
  }

  deadLettersOf(queue: Queue): Queue {
    return this.#deadLetters.get(queue) as Queue;
  }

  /** To receive, and to give messages up with a reason. */
  mayReceive(who: IGrantable, queue: Queue): void {
    queue.grantConsumeMessages(who);
    this.deadLettersOf(queue).grantSendMessages(who);
  }

  maySend(who: IGrantable, ...queues: readonly Queue[]): void {
    for (const queue of queues) {
      queue.grantSendMessages(who);
      this.mayOpen(who, queue);
    }
  }

  /** Whoever opens a queue looks at its settings, and asks for the address of its dead letters. */
  mayOpen(who: IGrantable, queue: Queue): void {
    queue.grant(who, 'sqs:GetQueueAttributes');
    this.deadLettersOf(queue).grant(who, 'sqs:GetQueueUrl');
  }
}

/** Letters that lie there, or were there: `finalize` takes them away each minute, perhaps before anybody has looked. */
function deadLettersSeen(deadLetters: Queue): MathExpression {
  return new MathExpression({
    expression: 'MAX([FILL(waiting, 0), FILL(collected, 0)])',
    usingMetrics: {
      waiting: deadLetters.metricApproximateNumberOfMessagesVisible({
        period: ONE_MINUTE,
        statistic: 'Maximum',
      }),
      collected: deadLetters.metricNumberOfMessagesDeleted({ period: ONE_MINUTE, statistic: 'Sum' }),
    },
    label: 'dead letters',
    period: ONE_MINUTE,
  });
}
