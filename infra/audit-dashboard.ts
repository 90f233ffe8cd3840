import { Duration } from 'aws-cdk-lib';
import {
  AlarmStatusWidget,
  Column,
  Dashboard,
  GraphWidget,
  type IMetric,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as LambdaFn } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { AuditAlarms } from './alarms.ts';
import type { AuditFunctions } from './audit-functions.ts';
import type { AuditQueues } from './audit-queues.ts';
import type { AuditWatch } from './audit-watch.ts';
import { type FleetScaling, workersOf } from './fleet-scaling.ts';
import type { WorkerFleet } from './worker-fleet.ts';

/** A dashboard is 24 wide; the flow has four columns. */
const WIDTH = 6;
const HEIGHT = 6;
const ONE_MINUTE = Duration.minutes(1);

export interface AuditDashboardProps {
  readonly queues: AuditQueues;
  readonly functions: AuditFunctions;
  readonly alarms: AuditAlarms;
  readonly watch: AuditWatch;
  readonly fleet?: { readonly workers: WorkerFleet; readonly scaling: FleetScaling };
}

/** The flow from left to right: what is found, decoded, inferred, stored; above it the alarms. */
export class AuditDashboard extends Construct {
  constructor(scope: Construct, id: string, props: AuditDashboardProps) {
    super(scope, id);
    const { queues, functions, alarms, watch, fleet } = props;
    const dashboard = new Dashboard(this, 'Dashboard', { defaultInterval: Duration.hours(12) });
    dashboard.addWidgets(
      new AlarmStatusWidget({
        title: `Alarms; what to do: ${alarms.runbookUrl}`,
        alarms: alarms.all,
        width: 24,
        height: 4,
      }),
    );
    dashboard.addWidgets(
      column('1. Found', [
        graph('Jobs and events that wait', [waiting('jobs', queues.jobs), waiting('events', queues.events)]),
        graph('plan and ingest', [...times(functions.plan), ...times(functions.ingest)]),
        graph('plan and ingest: failed, %', [
          functions.watch.errorShare(functions.plan),
          functions.watch.errorShare(functions.ingest),
        ]),
      ]),
      column('2. Decoded', [
        graph('Shards that wait, and in hand', [
          waiting('waiting', queues.shards),
          inHand('in hand', queues.shards),
        ]),
        graph('preprocess', [...times(functions.preprocess), concurrency(functions.preprocess)]),
        graph('preprocess: failed, %', [functions.watch.errorShare(functions.preprocess)]),
      ]),
      column('3. Inferred', [
        graph('Packs that wait, and in hand', [
          waiting('live', queues.live),
          waiting('bulk', queues.bulk),
          inHand('bulk in hand', queues.bulk),
        ]),
        graph('Images per second', [watch.imagesPerSecond], fleet && [workersOf(fleet.workers.group)]),
        graph('What the time of the model goes into', [...watch.feed], [watch.batchFill]),
        graph('Wait of a pack', [watch.queueWait]),
        graph('Failed deliveries', [watch.failedDeliveries]),
      ]),
      column('4. Stored', [
        graph('Verdicts that wait', [waiting('verdicts', queues.verdicts)]),
        graph('finalize', [...times(functions.finalize)]),
        graph(
          'Dead letters',
          queues.all.map(([name, queue]) => waiting(name, queues.deadLettersOf(queue))),
        ),
        graph('Minutes to drain', [watch.minutesToDrain]),
        ...(fleet ? [graph('Packs per worker', [fleet.scaling.packsPerWorker])] : []),
      ]),
    );
  }
}

function column(title: string, graphs: readonly GraphWidget[]): Column {
  return new Column(new TextWidget({ markdown: `## ${title}`, width: WIDTH, height: 1 }), ...graphs);
}

function graph(title: string, left: readonly IMetric[], right: readonly IMetric[] = []): GraphWidget {
  return new GraphWidget({
    title,
    left: [...left],
    right: [...right],
    leftYAxis: { min: 0 },
    rightYAxis: { min: 0 },
    width: WIDTH,
    height: HEIGHT,
  });
}

function waiting(label: string, queue: Queue): IMetric {
  return queue.metricApproximateNumberOfMessagesVisible({ label, period: ONE_MINUTE, statistic: 'Maximum' });
}

function inHand(label: string, queue: Queue): IMetric {
  return queue.metricApproximateNumberOfMessagesNotVisible({
    label,
    period: ONE_MINUTE,
    statistic: 'Maximum',
  });
}

function times(fn: LambdaFn): IMetric[] {
  const name = fn.node.id.toLowerCase();
  return [
    fn.metricDuration({ label: `${name}, median ms`, statistic: 'p50' }),
    fn.metricDuration({ label: `${name}, p99 ms`, statistic: 'p99' }),
  ];
}

function concurrency(fn: LambdaFn): IMetric {
  return fn.metric('ConcurrentExecutions', {
    label: 'at the same time',
    statistic: 'Maximum',
    period: ONE_MINUTE,
  });
}
