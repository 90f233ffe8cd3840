import {
  Alarm,
  ComparisonOperator,
  type IAlarmAction,
  type IMetric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { RunbookSection } from './runbook.ts';

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

export interface AuditAlarmsProps {
  /** Where the runbook can be read. */
  readonly runbookUrl: string;
  /** Left out, alarms are shown only. */
  readonly action?: IAlarmAction;
}

/** The alarms of a pipeline. Each says what it means, and which section of the runbook says what to do. */
export class AuditAlarms extends Construct {
  readonly all: Alarm[] = [];
  readonly #props: AuditAlarmsProps;

  constructor(scope: Construct, id: string, props: AuditAlarmsProps) {
    super(scope, id);
    this.#props = props;
  }

  get runbookUrl(): string {
    return this.#props.runbookUrl;
  }

  /** Without data there is nothing to complain about: queues and functions that rest send none. */
  watch(id: string, { metric, threshold, periods = 1, meaning, runbook }: WatchProps): Alarm {
    const alarm = new Alarm(this, id, {
      metric,
      threshold,
      evaluationPeriods: periods,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
      alarmDescription: `${meaning} Runbook: ${this.#props.runbookUrl}#${runbook}`,
    });
    if (this.#props.action !== undefined) alarm.addAlarmAction(this.#props.action);
    this.all.push(alarm);
    return alarm;
  }
}
