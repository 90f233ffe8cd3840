import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, type IAlarmAction, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

/** A function's time-out and its queue's visibility time-out: AWS asks for six times as much. */
const VISIBILITY_FACTOR = 6;
const MAX_DELIVERIES = 5;
/** SQS's longest: a dead letter waits for `finalize`, or for whoever mends it. */
const DEAD_LETTERS_KEPT = Duration.days(14);
/** Of a lane that somebody waits for, and of one that may take the night. */
const OLDEST_LIVE = Duration.minutes(5);
const OLDEST_BULK = Duration.hours(6);

export interface AuditQueuesProps {
  /** How long each consumer may take for what it receives at once. */
  readonly timeouts: Readonly<Record<'jobs' | 'shards' | 'events' | 'packs', Duration>>;
  readonly alarmAction?: IAlarmAction;
}

/** A queue with its dead letters, and an alarm on each: dead letters at all, and the age of the oldest message. */
interface WatchedQueue {
  readonly name: string;
  readonly timeout: Duration;
  readonly oldest: Duration;
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
  readonly deadLetters = new Map<Queue, Queue>();
  readonly #props: AuditQueuesProps;

  constructor(scope: Construct, id: string, props: AuditQueuesProps) {
    super(scope, id);
    this.#props = props;
    const { timeouts } = props;
    this.jobs = this.#queue({ name: 'Jobs', timeout: timeouts.jobs, oldest: Duration.hours(1) });
    this.shards = this.#queue({ name: 'Shards', timeout: timeouts.shards, oldest: OLDEST_BULK });
    this.events = this.#queue({ name: 'Events', timeout: timeouts.events, oldest: OLDEST_LIVE });
    this.live = this.#queue({ name: 'Live', timeout: timeouts.packs, oldest: OLDEST_LIVE });
    this.bulk = this.#queue({ name: 'Bulk', timeout: timeouts.packs, oldest: OLDEST_BULK });
    this.verdicts = this.#queue({
      name: 'Verdicts',
      timeout: Duration.seconds(30),
      oldest: Duration.days(1),
    });
  }

  #queue({ name, timeout, oldest }: WatchedQueue): Queue {
    const common = { encryption: QueueEncryption.SQS_MANAGED, enforceSSL: true };
    const deadLetters = new Queue(this, `${name}Dead`, { ...common, retentionPeriod: DEAD_LETTERS_KEPT });
    const queue = new Queue(this, name, {
      ...common,
      visibilityTimeout: Duration.seconds(timeout.toSeconds() * VISIBILITY_FACTOR),
      retentionPeriod: DEAD_LETTERS_KEPT,
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: MAX_DELIVERIES },
    });
    this.deadLetters.set(queue, deadLetters);
    this.#alarm(
      `${name}DeadAlarm`,
      deadLetters.metricApproximateNumberOfMessagesVisible({
        period: Duration.minutes(1),
        statistic: 'Maximum',
      }),
      1,
      `Messages of ${name} were given up. sluice redrive <job> says why, and sends them again. Runbook: docs/aws.md, "What goes wrong".`,
    );
    this.#alarm(
      `${name}OldestAlarm`,
      queue.metricApproximateAgeOfOldestMessage({ period: Duration.minutes(1), statistic: 'Maximum' }),
      oldest.toSeconds(),
      `The oldest message of ${name} waits longer than ${oldest.toHumanString()}: its consumer lags behind, or stands still. Runbook: docs/aws.md, "What goes wrong".`,
    );
    return queue;
  }

  #alarm(
    id: string,
    metric: ReturnType<Queue['metricApproximateAgeOfOldestMessage']>,
    threshold: number,
    alarmDescription: string,
  ): void {
    const alarm = new Alarm(this, id, {
      metric,
      threshold,
      alarmDescription,
      evaluationPeriods: 1,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    if (this.#props.alarmAction !== undefined) alarm.addAlarmAction(this.#props.alarmAction);
  }
}
