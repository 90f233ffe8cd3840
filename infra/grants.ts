import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { IConstruct } from 'constructs';
import { acknowledgeWildcard } from './acknowledge.ts';

/** A function, or the role of a task. */
type Who = IConstruct & IGrantable;
/** What is asked of a bucket here: its names. */
type AnyBucket = Pick<IBucket, 'bucketArn' | 'arnForObjects' | 'encryptionKey'>;

const READ = ['s3:GetObject'];
const WORK = [...READ, 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'];

/** To read and write under some prefixes of the work bucket, whose keys are made as jobs go. */
export function mayWork(who: Who, work: AnyBucket, prefixes: readonly string[]): void {
  allow(
    who,
    WORK,
    work,
    prefixes,
    'Keys of a job have no names before the job: the prefix is as narrow as it gets.',
  );
  mayList(who, work);
}

/** To read a bucket's objects, those under some prefixes at most. */
export function mayRead(who: Who, bucket: AnyBucket, prefixes: readonly string[] = ['*']): void {
  allow(who, READ, bucket, prefixes, 'Any object of these may be read.');
  mayList(who, bucket);
}

/** To tag objects with their verdicts. */
export function mayTag(who: Who, bucket: AnyBucket): void {
  allow(
    who,
    ['s3:GetObjectTagging', 's3:PutObjectTagging'],
    bucket,
    ['*'],
    'Any image of the bucket may get a verdict.',
  );
}

/** To write copies. */
export function mayPut(who: Who, bucket: AnyBucket): void {
  allow(who, ['s3:PutObject'], bucket, ['*'], "Copies keep their object's bucket and key.");
}

export function maySend(who: IGrantable, ...queues: readonly IQueue[]): void {
  for (const queue of queues) {
    queue.grantSendMessages(who);
    mayLookAt(who, queue);
  }
}

/** Whoever opens a queue looks at its settings, and for its dead letters. */
export function mayLookAt(who: IGrantable, queue: IQueue): void {
  queue.grant(who, 'sqs:GetQueueAttributes', 'sqs:GetQueueUrl');
}

function allow(
  who: Who,
  actions: readonly string[],
  bucket: AnyBucket,
  prefixes: readonly string[],
  reason: string,
): void {
  const resources = prefixes.map((prefix) => bucket.arnForObjects(prefix));
  for (const resource of resources) acknowledgeWildcard(who, resource, reason);
  who.grantPrincipal.addToPrincipalPolicy(new PolicyStatement({ actions: [...actions], resources }));
  if (actions.includes('s3:GetObject')) bucket.encryptionKey?.grantDecrypt(who);
  if (actions.includes('s3:PutObject')) bucket.encryptionKey?.grantEncrypt(who);
}

/** Without it S3 answers 403 for an object that is not there, and nobody could tell it from one that is forbidden. */
function mayList(who: Who, bucket: AnyBucket): void {
  who.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({ actions: ['s3:ListBucket'], resources: [bucket.bucketArn] }),
  );
}
