import { CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { Environment } from './environment.ts';
import { type AuditSource, ImageAudit, scheduleOf } from './image-audit.ts';

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
    const { lanes, fleet, keyArn, budget } = environment;
    const audit = new ImageAudit(this, 'Audit', {
      ...packages,
      sources: environment.sources.map((source) => this.#source(source)),
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
      ...(keyArn !== undefined && { encryptionKey: Key.fromKeyArn(this, 'Key', keyArn) }),
      ...(environment.alarmEmail && { alarmEmail: environment.alarmEmail }),
      ...(budget && { budget }),
    });
    new CfnOutput(this, 'Pipeline', {
      value: audit.pipelineJson,
      description: 'What sluice.pipeline.json is to hold, for workers and the command line',
    });
  }

  #source({ bucket, events, backfills }: Environment['sources'][number]): AuditSource {
    return {
      bucket: this.#bucket(bucket),
      ...(events && { events }),
      backfills: backfills.map(({ schedule, timeZone, flexibleMinutes, inventory, ...backfill }) => ({
        ...backfill,
        ...(inventory && {
          inventory: { reports: this.#bucket(inventory.bucket), folder: inventory.folder },
        }),
        schedule: scheduleOf(schedule, timeZone),
        ...given({ flexibleWindow: minutes(flexibleMinutes) }),
      })),
    };
  }

  /** A bucket of the account, which may be a source, and hold the reports of others. */
  #bucket(name: string): IBucket {
    const known = this.node.tryFindChild(name) as IBucket | undefined;
    return known ?? Bucket.fromBucketName(this, name, name);
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
