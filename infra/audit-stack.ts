import { CfnOutput, Stack } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { Environment } from './environment.ts';
import { ImageAudit, scheduleOf } from './image-audit.ts';

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
    const audit = new ImageAudit(this, 'Audit', {
      ...packages,
      sources: environment.sources.map(({ bucket, live, backfills }) => ({
        bucket: Bucket.fromBucketName(this, bucket, bucket),
        live,
        backfills: backfills.map(({ schedule, timeZone, ...backfill }) => ({
          ...backfill,
          schedule: scheduleOf(schedule, timeZone),
        })),
      })),
      pipeline: environment.pipeline,
      ...(environment.alarmEmail && { alarmEmail: environment.alarmEmail }),
    });
    new CfnOutput(this, 'Pipeline', {
      value: audit.pipelineJson,
      description: 'What sluice.pipeline.json is to hold, for workers and the command line',
    });
  }
}
