import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import { Construct } from 'constructs';

export interface AuditBudgetProps {
  /** Of a month. */
  readonly usd: number;
  /** Who hears of it. */
  readonly email: string;
  /** The tag that all resources of the pipeline bear. */
  readonly tag: { readonly key: string; readonly value: string };
}

/** Of what is spent, and of what AWS reckons the month will come to. */
const NOTICES = [
  { type: 'ACTUAL', percent: 80 },
  { type: 'ACTUAL', percent: 100 },
  { type: 'FORECASTED', percent: 100 },
] as const;

/**
 * A monthly budget for the resources of a pipeline, by their tag; AWS counts a tag once it is activated as a cost
 * allocation tag in the billing console. A budget tells, and stops nothing.
 */
export class AuditBudget extends Construct {
  constructor(scope: Construct, id: string, { usd, email, tag }: AuditBudgetProps) {
    super(scope, id);
    new CfnBudget(this, 'Budget', {
      budget: {
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount: usd, unit: 'USD' },
        costFilters: { TagKeyValue: [`user:${tag.key}$${tag.value}`] },
      },
      notificationsWithSubscribers: NOTICES.map(({ type, percent }) => ({
        notification: {
          notificationType: type,
          comparisonOperator: 'GREATER_THAN',
          threshold: percent,
          thresholdType: 'PERCENTAGE',
        },
        subscribers: [{ subscriptionType: 'EMAIL', address: email }],
      })),
    });
  }
}
