import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { BlockPublicAccess, Bucket, BucketEncryption } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

/** The bucket of a pipeline's work and results. It outlives the stack: results are what it was all for. */
export class AuditStorage extends Construct {
  readonly work: Bucket;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    const expire = (prefix: string, days: number) => ({
      id: `expire-${prefix.replaceAll('/', '')}`,
      prefix,
      expiration: Duration.days(days),
    });
    this.work = new Bucket(this, 'Work', {
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [
        // A pack is deleted with its message; what is left belongs to packs that were given up.
        expire('packs/', 1),
        expire('shards/', 7),
        expire('parts/', 30),
        expire('quarantine/', 30),
        expire('workers/', 1),
        {
          id: 'abort-uploads',
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
    });
    Validations.of(this.work).acknowledge({
      id: 'AwsSolutions::AwsSolutions-S1',
      reason:
        'Only the pipeline uses it, for millions of requests a night: CloudTrail can be asked where somebody must know.',
    });
  }
}
