import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { AuditAlarms } from './alarms.ts';
import type { AuditQueues } from './audit-queues.ts';

/** A worker whose model has less than half of its time is one that is paid twice. */
const STARVED_PERCENT = 50;
const FAILING_PERCENT = 5;
const PERIOD = Duration.minutes(5);

export interface AuditWatchProps {
  readonly alarms: AuditAlarms;
  readonly queues: AuditQueues;
  /** What the workers' metrics are told apart by: the place of their work, without "s3://". */
  readonly pipelineName: string;
  readonly imagesPerShard: number;
  readonly imagesPerPack: number;
  /** How long a backfill may have left to go. */
  readonly drainWithin: Duration;
}

/** What the pipeline says of itself as a whole, and the alarms on it. */
export class AuditWatch extends Construct {
  readonly imagesPerSecond: IMetric;
  readonly minutesToDrain: IMetric;
  readonly feed: readonly IMetric[];
  readonly batchFill: IMetric;
  readonly queueWait: IMetric;
  readonly failedDeliveries: IMetric;
  readonly #pipelineName: string;

  constructor(scope: Construct, id: string, props: AuditWatchProps) {
    super(scope, id);
    this.#pipelineName = props.pipelineName;
    const { alarms, drainWithin } = props;
    this.imagesPerSecond = new MathExpression({
      expression: 'FILL(images, 0) / PERIOD(images)',
      usingMetrics: { images: this.#worker('Images', 'Sum') },
      label: 'images/s',
      period: PERIOD,
    });
    this.feed = [
      this.#worker('FeedRun', 'Average', 'the model runs, %'),
      this.#worker('FeedWaitMessage', 'Average', 'waits for packs, %'),
      this.#worker('FeedWaitFetch', 'Average', 'waits for a fetch, %'),
      this.#worker('FeedWaitCommit', 'Average', 'waits for a commit, %'),
    ];
    this.batchFill = this.#worker('BatchFill', 'Average', 'batch fill, %');
    this.queueWait = this.#worker('QueueWait', 'p99', 'wait from announcement to run, p99, ms');
    this.minutesToDrain = this.#minutesToDrain(props);
    this.failedDeliveries = this.#failedDeliveries(props);
    alarms.watch('TimeToDrain', {
      metric: this.minutesToDrain,
      threshold: drainWithin.toMinutes(),
      periods: 6,
      meaning: `At the present rate the backlog takes longer than ${drainWithin.toHumanString()}, for half an hour now.`,
      runbook: 'growing-backlog',
    });
    alarms.watch('StarvedWorkers', {
      metric: this.#starved(props.queues),
      threshold: STARVED_PERCENT,
      periods: 3,
      meaning: `Workers wait for ${STARVED_PERCENT} % of their time although there are images to audit: GPUs are paid and not used.`,
      runbook: 'starved-workers',
    });
    alarms.watch('FailingDeliveries', {
      metric: this.failedDeliveries,
      threshold: FAILING_PERCENT,
      periods: 3,
      meaning: `${FAILING_PERCENT} % of the packs that workers take fail, and come back.`,
      runbook: 'failing-deliveries',
    });
  }

  #minutesToDrain({ queues, imagesPerPack, imagesPerShard }: AuditWatchProps): MathExpression {
    const waiting = { period: PERIOD, statistic: 'Maximum' };
    return new MathExpression({
      expression: `(FILL(shards, 0) * ${imagesPerShard} + FILL(packs, 0) * ${imagesPerPack}) / MAX([FILL(images, 0) / ${PERIOD.toMinutes()}, 1])`,
      usingMetrics: {
        shards: queues.shards.metricApproximateNumberOfMessagesVisible(waiting),
        packs: queues.bulk.metricApproximateNumberOfMessagesVisible(waiting),
        images: this.#worker('Images', 'Sum'),
      },
      label: 'minutes to drain',
      period: PERIOD,
    });
  }

  #starved(queues: AuditQueues): MathExpression {
    const waiting = { period: PERIOD, statistic: 'Minimum' };
    return new MathExpression({
      expression: 'IF(FILL(shards, 0) + FILL(packs, 0) > 0, 100 - run, 0)',
      usingMetrics: {
        run: this.#worker('FeedRun', 'Average'),
        shards: queues.shards.metricApproximateNumberOfMessagesVisible(waiting),
        packs: queues.bulk.metricApproximateNumberOfMessagesVisible(waiting),
      },
      label: 'workers wait, %',
      period: PERIOD,
    });
  }

  #failedDeliveries({ queues }: AuditWatchProps): MathExpression {
    const total = { period: PERIOD, statistic: 'Sum' };
    return new MathExpression({
      expression: '100 * FILL(failed, 0) / MAX([FILL(live, 0) + FILL(bulk, 0), 1])',
      usingMetrics: {
        failed: this.#worker('FailedDeliveries', 'Sum'),
        live: queues.live.metricNumberOfMessagesReceived(total),
        bulk: queues.bulk.metricNumberOfMessagesReceived(total),
      },
      label: 'failed deliveries, %',
      period: PERIOD,
    });
  }

  /** A metric that workers write: see workers/worker-metrics.ts. */
  #worker(metricName: string, statistic: string, label?: string): Metric {
    return new Metric({
      namespace: 'Sluice',
      metricName,
      dimensionsMap: { Pipeline: this.#pipelineName },
      statistic,
      period: PERIOD,
      ...(label !== undefined && { label }),
    });
  }
}
