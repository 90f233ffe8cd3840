import { CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { ObjectEvents } from './audit-functions.ts';
import { backfillBudget, type FleetTerms } from './backfill-budget.ts';
import type { Environment } from './environment.ts';
import { FleetSubnets } from './fleet-network.ts';
import { ImageAudit, scheduleOf } from './image-audit.ts';
import type { AuditSource } from './image-audit-props.ts';
import { createNotifierRole } from './notifier-role.ts';

/** The folders that functions are made from. */
export interface AuditPackages {
  readonly functionCode: string;
  readonly decoderLayer: string;
}

/** One environment as a stack of its own. */
export class AuditStack extends Stack {
  constructor(scope: Construct, environment: Environment, packages: AuditPackages) {
    const { account, region } = environment;
    super(scope, environment.name, {
      description: 'Sluice: audits images.',
      env: { ...(account && { account }), ...(region && { region }) },
    });
    const { lanes, fleet, keyArn, budget, sources } = environment;
    const terms: FleetTerms = {
      publicIpv4: fleet?.subnets !== FleetSubnets.PRIVATE,
      ...given({ instanceType: fleet?.instances?.[0] }),
    };
    const notifying = sources.filter(({ events }) => events === ObjectEvents.NOTIFICATION);
    const notifier =
      notifying.length === 0
        ? undefined
        : createNotifierRole(
            this,
            'Notifier',
            notifying.map(({ bucket }) => bucket),
          );
    const audit = new ImageAudit(this, 'Audit', {
      ...packages,
      sources: sources.map((source) => this.#source(source, notifier, terms)),
      reports: environment.reports.map((name) => this.#reports(name)),
      pipeline: environment.pipeline,
      lanes: {
        live: given({
          oldest: minutes(lanes.live.oldestMinutes),
          gatherFor:
            lanes.live.gatherSeconds === undefined ? undefined : Duration.seconds(lanes.live.gatherSeconds),
          concurrency: lanes.live.concurrency,
        }),
        bulk: given({
          oldest: minutes(lanes.bulk.oldestMinutes),
          drainWithin: minutes(lanes.bulk.drainWithinMinutes),
        }),
      },
      ...(fleet && { fleet: { image: fleet.image, ...given(fleet) } }),
      quarantine: environment.quarantine,
      finalizesAlone: environment.finalizesAlone,
      ...(keyArn !== undefined && { encryptionKey: Key.fromKeyArn(this, 'Key', keyArn) }),
      ...(environment.alarmEmail && { alarmEmail: environment.alarmEmail }),
      ...(budget && { budget }),
      ...given({ runbookUrl: environment.runbookUrl }),
    });
    new CfnOutput(this, 'Roles', {
      value: audit.roles.map(({ roleArn }) => roleArn).join(' '),
      description: 'Who reads the images: what the policy of a bucket in another account is to admit',
    });
    new CfnOutput(this, 'Pipeline', {
      value: audit.pipelineJson,
      description: 'What sluice.pipeline.json is to hold, for workers and the command line',
    });
  }

  #source(
    { bucket, keyArn, events, backfills }: Environment['sources'][number],
    notifier: IRole | undefined,
    terms: FleetTerms,
  ): AuditSource {
    return {
      bucket: Bucket.fromBucketAttributes(this, bucket, {
        bucketName: bucket,
        ...(keyArn !== undefined && { encryptionKey: Key.fromKeyArn(this, `${bucket}-key`, keyArn) }),
        ...(notifier && { notificationsHandlerRole: notifier }),
      }),
      ...(events && { events }),
      backfills: backfills.map(
        ({ schedule, timeZone, flexibleMinutes, budgetUsd, inventory, ...backfill }) => ({
          ...backfill,
          ...(inventory && {
            inventory: { reports: this.#reports(inventory.bucket), folder: inventory.folder },
          }),
          schedule: scheduleOf(schedule, timeZone),
          ...given({
            flexibleWindow: minutes(flexibleMinutes),
            budget: budgetUsd === undefined ? undefined : backfillBudget(budgetUsd, this.region, terms),
          }),
        }),
      ),
    };
  }

  /** A bucket with the reports of others, which may be a source itself. */
  #reports(name: string): IBucket {
    const id = `${name}-reports`;
    const known = this.node.tryFindChild(name) ?? this.node.tryFindChild(id);
    return (known as IBucket | undefined) ?? Bucket.fromBucketName(this, id, name);
  }
}

function minutes(count: number | undefined): Duration | undefined {
  return count === undefined ? undefined : Duration.minutes(count);
}

/** What is left out keeps its default. */
function given<T extends object>(settings: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
