import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, type LifecycleRule } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

export interface AuditStorageProps {
  /** Whether there is a bucket for copies of what was rejected. */
  readonly quarantine: boolean;
  /** @default S3's own key: it costs nothing */
  readonly encryptionKey?: IKey;
}

/** The buckets of a pipeline's work and results. They outlive the stack: results are what it was all for. */
export class AuditStorage extends Construct {
  readonly work: Bucket;
  readonly quarantine: Bucket | undefined;

  constructor(scope: Construct, id: string, { quarantine, encryptionKey }: AuditStorageProps) {
    super(scope, id);
    const common = {
      ...(encryptionKey === undefined
        ? { encryption: BucketEncryption.S3_MANAGED }
        : // With a bucket key S3 asks KMS once for many objects: packs come by the thousand.
          { encryption: BucketEncryption.KMS, encryptionKey, bucketKeyEnabled: true }),
      enforceSSL: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      removalPolicy: RemovalPolicy.RETAIN,
    };
    this.work = new Bucket(this, 'Work', {
      ...common,
      lifecycleRules: [
        // A pack is deleted with its message; what is left belongs to packs that were given up.
        expire('packs/', 1),
        expire('shards/', 7),
        expire('parts/', 30),
        expire('quarantine/', 30),
        expire('workers/', 1),
        ABORT_UPLOADS,
      ],
    });
    acknowledge(
      this.work,
      'S1',
      'Only the pipeline uses it, for millions of requests a night: CloudTrail can be asked where somebody must know.',
    );
    if (!quarantine) return;
    this.quarantine = new Bucket(this, 'Quarantine', { ...common, lifecycleRules: [ABORT_UPLOADS] });
    acknowledge(this.quarantine, 'S1', 'Each copy is told in a row of the audit table.');
  }
}

const ABORT_UPLOADS: LifecycleRule = {
  id: 'abort-uploads',
  abortIncompleteMultipartUploadAfter: Duration.days(1),
};

function expire(prefix: string, days: number): LifecycleRule {
  return { id: `expire-${prefix.replaceAll('/', '')}`, prefix, expiration: Duration.days(days) };
}
