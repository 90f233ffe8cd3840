import {
  Alarm,
  ComparisonOperator,
  type IAlarmAction,
  type IMetric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { RunbookSection } from './runbook.ts';
import { alarmText } from './runbook.ts';

export interface WatchProps {
  readonly metric: IMetric;
  /** The alarm goes off at this value and above. */
  readonly threshold: number;
  /** Periods of the metric in a row. @default 1 */
  readonly periods?: number;
  /** What it means that the alarm went off. */
  readonly meaning: string;
  /** Where it is said what to do. */
  readonly runbook: RunbookSection;
}

/** The alarms of a pipeline. Each says what it means, and which section of the runbook says what to do. */
export class AuditAlarms extends Construct {
  readonly all: Alarm[] = [];
  readonly #action: IAlarmAction | undefined;

  constructor(scope: Construct, id: string, action: IAlarmAction | undefined) {
    super(scope, id);
    this.#action = action;
  }

  /** Without data there is nothing to complain about: queues and functions that rest send none. */
  watch(id: string, { metric, threshold, periods = 1, meaning, runbook }: WatchProps): Alarm {
    const alarm = new Alarm(this, id, {
      metric,
      threshold,
      evaluationPeriods: periods,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
      alarmDescription: alarmText(meaning, runbook),
    });
    if (this.#action !== undefined) alarm.addAlarmAction(this.#action);
    this.all.push(alarm);
    return alarm;
  }
}
