import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as LambdaFn } from 'aws-cdk-lib/aws-lambda';
import { FilterPattern, type LogGroup, MetricFilter } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { AuditAlarms } from './alarms.ts';

/** Of a handful of invocations, one may fail without anybody having to get up. */
const FAILING_PERCENT = 20;
/** Bad images have a row; that none could be made at all is to be rare. */
const FAILED_IMAGES_PERCENT = 1;
const PERIOD = Duration.minutes(5);

/** The lines that functions/handlers write and that are counted here, by their `message`. */
export const COUNTED_LINES = {
  messageFailed: 'a message failed',
  jobBroken: 'a job cannot be planned',
  jobUnfinished: 'a job could not be finalized',
  jobComplete: 'a job is complete',
} as const;

export interface FunctionWatchProps {
  readonly alarms: AuditAlarms;
}

/**
 * What functions say in their logs, as metrics with alarms: an invocation that gives one of its messages back, or a job that
 * cannot be planned, is no error to Lambda.
 */
export class FunctionWatch extends Construct {
  readonly #alarms: AuditAlarms;
  readonly #errorShares = new Map<LambdaFn, IMetric>();
  /** Metrics of two pipelines must not be added up. */
  readonly #namespace: string;

  constructor(scope: Construct, id: string, { alarms }: FunctionWatchProps) {
    super(scope, id);
    this.#alarms = alarms;
    this.#namespace = `Sluice/${this.node.path.replace(/[^\w/-]/g, '-')}`;
  }

  watchErrors(fn: LambdaFn, logGroup: LogGroup): void {
    const share = this.#shareOfErrors(fn, logGroup);
    this.#errorShares.set(fn, share);
    const name = fn.node.id.toLowerCase();
    this.#alarms.watch(`${name}Errors`, {
      metric: share,
      threshold: FAILING_PERCENT,
      periods: 3,
      meaning: `${FAILING_PERCENT} % of the invocations of ${name} fail, or give a message back, three times five minutes long.`,
      runbook: 'failing-functions',
    });
  }

  /** Failed invocations, and messages that invocations gave back, in percent of invocations. */
  errorShare(fn: LambdaFn): IMetric {
    return this.#errorShares.get(fn) as IMetric;
  }

  /** @param plan the log of `plan`. @param finalize the log of `finalize`. */
  watchJobs(plan: LogGroup, finalize: LogGroup): void {
    this.#alarms.watch('BrokenJobs', {
      metric: this.#count('BrokenJobs', plan, 'jobBroken'),
      threshold: 1,
      meaning: 'A job cannot be planned, and was given up.',
      runbook: 'broken-jobs',
    });
    this.#alarms.watch('UnfinishedJobs', {
      metric: this.#count('UnfinishedJobs', finalize, 'jobUnfinished'),
      threshold: 1,
      periods: 3,
      meaning: 'A job cannot be completed, a quarter of an hour long: its results are due.',
      runbook: 'broken-jobs',
    });
    this.#alarms.watch('FailedImages', {
      metric: new MathExpression({
        expression: '100 * failed / MAX([planned, 1])',
        usingMetrics: {
          failed: this.#count('FailedImages', finalize, 'jobComplete', '$.failed'),
          planned: this.#count('PlannedImages', finalize, 'jobComplete', '$.planned'),
        },
        label: 'images that failed, %',
        period: PERIOD,
      }),
      threshold: FAILED_IMAGES_PERCENT,
      meaning: `${FAILED_IMAGES_PERCENT} % of the images of a job that is complete have no result.`,
      runbook: 'failed-images',
    });
  }

  #shareOfErrors(fn: LambdaFn, logGroup: LogGroup): MathExpression {
    // Expressions that share a graph share their ids.
    const name = fn.node.id.toLowerCase();
    const sum = { period: PERIOD, statistic: 'Sum' };
    return new MathExpression({
      // An invocation of ten messages may give back all of them.
      expression: `MIN([100, 100 * (FILL(${name}Errors, 0) + FILL(${name}Failed, 0)) / MAX([${name}Calls, 1])])`,
      usingMetrics: {
        [`${name}Errors`]: fn.metricErrors(sum),
        [`${name}Failed`]: this.#count(`${fn.node.id}FailedMessages`, logGroup, 'messageFailed'),
        [`${name}Calls`]: fn.metricInvocations(sum),
      },
      label: `${name}: failed, %`,
      period: PERIOD,
    });
  }

  /** @param value what a line counts. */
  #count(id: string, logGroup: LogGroup, line: keyof typeof COUNTED_LINES, value = '1'): Metric {
    new MetricFilter(this, id, {
      logGroup,
      filterPattern: FilterPattern.stringValue('$.message', '=', COUNTED_LINES[line]),
      metricNamespace: this.#namespace,
      metricName: id,
      metricValue: value,
    });
    return new Metric({ namespace: this.#namespace, metricName: id, statistic: 'Sum', period: PERIOD });
  }
}
