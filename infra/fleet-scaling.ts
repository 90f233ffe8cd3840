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
import { ALARM_PERIOD_S, type ScalingRule } from '#core/fleet-scaling.ts';
import type { AuditAlarms } from './alarms.ts';
import type { AuditQueues } from './audit-queues.ts';

/** What somebody waits for on the live lane, though a worker could have started meanwhile. */
const LIVE_AGE = Duration.minutes(6);
/** An instance is there within two or three, where there is one. */
const DROUGHT_MINUTES = 15;
const ONE_MINUTE = Duration.seconds(ALARM_PERIOD_S);

export interface FleetScalingProps {
  readonly alarms: AuditAlarms;
  readonly group: AutoScalingGroup;
  readonly queues: AuditQueues;
  readonly rule: ScalingRule;
}

/**
 * The size of the fleet, by what waits for it and by the rule of core/fleet-scaling.ts, which is simulated too; and one by
 * one with the age of the live lane's messages. Steps, because target tracking takes no expressions over metrics, and never reaches zero by itself.
 */
export class FleetScaling extends Construct {
  /** Packs that wait or are in hand, for each worker. */
  readonly packsPerWorker: IMetric;
  /** Everything that waits or is in hand before the workers are done. */
  readonly openWork: IMetric;
  readonly #group: AutoScalingGroup;
  readonly #rule: ScalingRule;
  readonly #warmUp: Duration;

  constructor(scope: Construct, id: string, { group, queues, alarms, rule }: FleetScalingProps) {
    super(scope, id);
    this.#group = group;
    this.#rule = rule;
    this.#warmUp = Duration.seconds(rule.warmUpS);
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
      estimatedInstanceWarmup: this.#warmUp,
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
      estimatedInstanceWarmup: this.#warmUp,
    });
    const { growAtPacks, growAfterMinutes, steps } = this.#rule;
    // Bounds count from the alarm's threshold.
    const bounds = steps.map(({ from }) => (from - 1) * growAtPacks);
    for (const [i, { percent }] of steps.entries()) {
      const upperBound = bounds[i + 1];
      action.addAdjustment({
        adjustment: percent,
        lowerBound: bounds[i] ?? 0,
        ...(upperBound !== undefined && { upperBound }),
      });
    }
    this.#alarm('Backlog', action, {
      metric: this.packsPerWorker,
      threshold: growAtPacks,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      minutes: growAfterMinutes,
      whenMissing: TreatMissingData.NOT_BREACHING,
      meaning: `Packs for each worker: ${steps
        .map(({ from, percent }) => `from ${from * growAtPacks} on ${percent} % more start`)
        .join(', ')}.`,
    });
  }

  #growForLive(live: Queue): void {
    const action = this.#action('GrowForLive', AdjustmentType.CHANGE_IN_CAPACITY, {
      estimatedInstanceWarmup: this.#warmUp,
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
    const { growAtPacks, shrinkBelow, shrinkAfterMinutes, shrinkPercent } = this.#rule;
    const fewPacks = shrinkBelow * growAtPacks;
    action.addAdjustment({ adjustment: -shrinkPercent, upperBound: 0 });
    this.#alarm('LittleToDo', action, {
      metric: new MathExpression({
        // The last worker stays until there is nothing at all.
        expression: `IF(wanted > 1, packs, ${fewPacks})`,
        usingMetrics: { wanted: workersWanted(this.#group), packs: this.packsPerWorker },
        period: ONE_MINUTE,
      }),
      threshold: fewPacks,
      comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
      minutes: shrinkAfterMinutes,
      whenMissing: TreatMissingData.NOT_BREACHING,
      meaning: `Less than ${fewPacks} packs for each worker, ${shrinkAfterMinutes} minutes long: ${shrinkPercent} % of the workers go.`,
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
      minutes: this.#rule.idleMinutes,
      // Queues that have been idle for hours send no metrics at all.
      whenMissing: TreatMissingData.BREACHING,
      meaning: `There are workers, and nothing waits or is in hand, ${this.#rule.idleMinutes} minutes long: all of them go.`,
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
