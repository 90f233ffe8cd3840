import { Duration } from 'aws-cdk-lib';
import { AdjustmentType, type AutoScalingGroup, StepScalingAction } from 'aws-cdk-lib/aws-autoscaling';
import {
  Alarm,
  ComparisonOperator,
  type IMetric,
  MathExpression,
  Metric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { AutoScalingAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { AuditAlarms } from './alarms.ts';
import type { AuditQueues } from './audit-queues.ts';

/**
 * Packs for each worker from which the fleet grows: at 64 images a pack and 1,000 images a second, a worker takes
 * 13 seconds for 200. A pipeline's `maxBacklogPacks` must leave room for as many for each of its workers.
 */
export const GROW_AT_PACKS = 200;
/** From here on the fleet doubles. */
const DOUBLE_AT_PACKS = 400;
/** Below this, for ten minutes, there are too many workers. */
const SHRINK_BELOW_PACKS = 20;
/** An instance takes about five minutes from its start to its first pack; before that, more of them help nobody. */
const WARM_UP = Duration.minutes(5);
/** What somebody waits for on the live lane, though a worker could have started meanwhile. */
const LIVE_AGE = Duration.minutes(6);
/**
 * From when an instance is there: it must outlast the start of its worker, and the lag of the metrics of queues that have
 * been idle. Each minute of it costs an idle GPU.
 */
const IDLE_MINUTES = 8;
/** An instance is there within two or three, where there is one. */
const DROUGHT_MINUTES = 15;
const ONE_MINUTE = Duration.minutes(1);

export interface FleetScalingProps {
  readonly alarms: AuditAlarms;
  readonly group: AutoScalingGroup;
  readonly queues: AuditQueues;
}

/**
 * The size of the fleet, by what waits for it. It grows by half, then by its whole size with the backlog, and one by one with
 * the age of the live lane's messages; it lets go of a quarter when there is too little to do, and of everyone when there
 * is nothing. Steps, because target tracking takes no expressions over metrics, and never reaches zero by itself.
 */
export class FleetScaling extends Construct {
  /** Packs that wait or are in hand, for each worker. */
  readonly packsPerWorker: IMetric;
  /** Everything that waits or is in hand before the workers are done. */
  readonly openWork: IMetric;
  readonly #group: AutoScalingGroup;

  constructor(scope: Construct, id: string, { group, queues, alarms }: FleetScalingProps) {
    super(scope, id);
    this.#group = group;
    const { live, bulk, shards, events } = queues;
    const packs = { ...messagesOf('live', live), ...messagesOf('bulk', bulk) };
    this.packsPerWorker = new MathExpression({
      // By those that are asked for: what is starting already is not asked for again, and a drought asks for no more.
      expression: `(${sum(packs)}) / MAX([FILL(wanted, 0), 1])`,
      usingMetrics: { ...packs, wanted: workersWanted(group) },
      label: 'packs per worker',
      period: ONE_MINUTE,
    });
    const work = { ...packs, ...messagesOf('shards', shards), ...messagesOf('events', events) };
    this.openWork = new MathExpression({
      expression: sum(work),
      usingMetrics: work,
      label: 'messages before the model',
      period: ONE_MINUTE,
    });
    this.#wake();
    this.#grow();
    this.#growForLive(live);
    this.#shrink();
    this.#end();
    alarms.watch('NoInstances', {
      metric: new MathExpression({
        expression: 'FILL(wanted, 0) - FILL(workers, 0)',
        usingMetrics: { wanted: workersWanted(group), workers: workersOf(group) },
        label: 'instances that have not come',
        period: ONE_MINUTE,
      }),
      threshold: 1,
      periods: DROUGHT_MINUTES,
      meaning: `Instances were asked for ${DROUGHT_MINUTES} minutes ago and have not come: Spot has none, or the quota allows none.`,
      runbook: 'spot-drought',
    });
  }

  /** Functions wake the fleet when they find work; this is for whatever they could not. */
  #wake(): void {
    const action = this.#action('Wake', AdjustmentType.CHANGE_IN_CAPACITY, {
      estimatedInstanceWarmup: WARM_UP,
    });
    action.addAdjustment({ adjustment: 1, lowerBound: 0 });
    this.#alarm('Asleep', action, {
      metric: new MathExpression({
        // An instance that was asked for takes its minutes to be there; it is not asked for twice.
        expression: 'IF(FILL(wanted, 0) < 1, work, 0)',
        usingMetrics: { wanted: workersWanted(this.#group), work: this.openWork },
        period: ONE_MINUTE,
      }),
      threshold: 1,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      minutes: 1,
      whenMissing: TreatMissingData.NOT_BREACHING,
      meaning: 'There is work, and no worker was asked for: one starts.',
    });
  }

  #grow(): void {
    const action = this.#action('Grow', AdjustmentType.PERCENT_CHANGE_IN_CAPACITY, {
      minAdjustmentMagnitude: 1,
      estimatedInstanceWarmup: WARM_UP,
    });
    // Bounds count from the alarm's threshold.
    const doubling = DOUBLE_AT_PACKS - GROW_AT_PACKS;
    action.addAdjustment({ adjustment: 50, lowerBound: 0, upperBound: doubling });
    action.addAdjustment({ adjustment: 100, lowerBound: doubling });
    this.#alarm('Backlog', action, {
      metric: this.packsPerWorker,
      threshold: GROW_AT_PACKS,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      minutes: 2,
      whenMissing: TreatMissingData.NOT_BREACHING,
      meaning: `${GROW_AT_PACKS} packs for each worker: half as many more start, and as many from ${DOUBLE_AT_PACKS} on.`,
    });
  }

  #growForLive(live: Queue): void {
    const action = this.#action('GrowForLive', AdjustmentType.CHANGE_IN_CAPACITY, {
      estimatedInstanceWarmup: WARM_UP,
    });
    action.addAdjustment({ adjustment: 1, lowerBound: 0 });
    this.#alarm('LiveWaits', action, {
      metric: new MathExpression({
        // Where Spot has no instance, asking for another one gets none either.
        expression: 'IF(FILL(workers, 0) >= FILL(wanted, 0), age, 0)',
        usingMetrics: {
          workers: workersOf(this.#group),
          wanted: workersWanted(this.#group),
          age: live.metricApproximateAgeOfOldestMessage({ period: ONE_MINUTE, statistic: 'Maximum' }),
        },
        period: ONE_MINUTE,
      }),
      threshold: LIVE_AGE.toSeconds(),
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      minutes: 1,
      whenMissing: TreatMissingData.NOT_BREACHING,
      meaning: `A live pack waits for ${LIVE_AGE.toHumanString()}, and all workers are there: one more starts.`,
    });
  }

  #shrink(): void {
    const action = this.#action('Shrink', AdjustmentType.PERCENT_CHANGE_IN_CAPACITY, {
      minAdjustmentMagnitude: 1,
    });
    action.addAdjustment({ adjustment: -25, upperBound: 0 });
    this.#alarm('LittleToDo', action, {
      metric: new MathExpression({
        // The last worker stays until there is nothing at all.
        expression: `IF(wanted > 1, packs, ${SHRINK_BELOW_PACKS})`,
        usingMetrics: { wanted: workersWanted(this.#group), packs: this.packsPerWorker },
        period: ONE_MINUTE,
      }),
      threshold: SHRINK_BELOW_PACKS,
      comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
      minutes: 10,
      whenMissing: TreatMissingData.NOT_BREACHING,
      meaning: `Less than ${SHRINK_BELOW_PACKS} packs for each worker, ten minutes long: a quarter of the workers go.`,
    });
  }

  #end(): void {
    const action = this.#action('End', AdjustmentType.PERCENT_CHANGE_IN_CAPACITY, {});
    action.addAdjustment({ adjustment: -100, upperBound: 0 });
    this.#alarm('NothingToDo', action, {
      metric: new MathExpression({
        // Where no worker is there is no end to come to: the alarm would go off each minute, against whoever wakes the fleet.
        expression: 'IF(FILL(workers, 0) > 0, work, 1)',
        usingMetrics: { workers: workersOf(this.#group), work: this.openWork },
        period: ONE_MINUTE,
      }),
      threshold: 0,
      comparisonOperator: ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD,
      minutes: IDLE_MINUTES,
      // Queues that have been idle for hours send no metrics at all.
      whenMissing: TreatMissingData.BREACHING,
      meaning: `There are workers, and nothing waits or is in hand, ${IDLE_MINUTES} minutes long: all of them go.`,
    });
  }

  #action(
    id: string,
    adjustmentType: AdjustmentType,
    options: { minAdjustmentMagnitude?: number; estimatedInstanceWarmup?: Duration },
  ): StepScalingAction {
    return new StepScalingAction(this, id, { autoScalingGroup: this.#group, adjustmentType, ...options });
  }

  #alarm(
    id: string,
    action: StepScalingAction,
    props: {
      metric: IMetric;
      threshold: number;
      comparisonOperator: ComparisonOperator;
      minutes: number;
      whenMissing: TreatMissingData;
      meaning: string;
    },
  ): void {
    const { metric, threshold, comparisonOperator, minutes, whenMissing, meaning } = props;
    const alarm = new Alarm(this, id, {
      metric,
      threshold,
      comparisonOperator,
      evaluationPeriods: minutes,
      treatMissingData: whenMissing,
      alarmDescription: `Scaling, no fault. ${meaning}`,
    });
    alarm.addAlarmAction(new AutoScalingAction(action));
  }
}

/** Instances that are up. */
export function workersOf(group: AutoScalingGroup): Metric {
  return groupMetric(group, 'GroupInServiceInstances', 'workers');
}

/** Instances that there shall be, those among them that are starting or that nobody has got. */
function workersWanted(group: AutoScalingGroup): Metric {
  return groupMetric(group, 'GroupDesiredCapacity', 'workers wanted');
}

function groupMetric(group: AutoScalingGroup, metricName: string, label: string): Metric {
  return new Metric({
    namespace: 'AWS/AutoScaling',
    metricName,
    dimensionsMap: { AutoScalingGroupName: group.autoScalingGroupName },
    statistic: 'Maximum',
    period: ONE_MINUTE,
    label,
  });
}

/** A queue's messages: those that wait, and those that are in hand. */
function messagesOf(name: string, queue: Queue): Record<string, Metric> {
  const options = { period: ONE_MINUTE, statistic: 'Maximum' };
  return {
    [`${name}Waiting`]: queue.metricApproximateNumberOfMessagesVisible(options),
    [`${name}InHand`]: queue.metricApproximateNumberOfMessagesNotVisible(options),
  };
}

function sum(metrics: Readonly<Record<string, Metric>>): string {
  return Object.keys(metrics)
    .map((name) => `FILL(${name}, 0)`)
    .join(' + ');
}
