import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { IConstruct } from 'constructs';
import { acknowledgeWildcard } from './acknowledge.ts';

/** The role of a function or a task. */
type Who = IConstruct & IGrantable;
/** What is asked of a bucket here: its names. */
type AnyBucket = Pick<IBucket, 'bucketArn' | 'arnForObjects' | 'encryptionKey'>;

/** Prefixes of the work bucket, by what is done under them: who only reads there may not write or delete. */
export interface WorkAccess {
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly delete: readonly string[];
  /** Where files are large enough to be uploaded in parts, and may be given up half-way. */
  readonly abort?: readonly string[];
}

const ANY_KEY = 'Keys of a job have no names before the job: the prefix is as narrow as it gets.';

/** To work under some prefixes of the work bucket, whose keys are made as jobs go. */
export function mayWork(who: Who, work: AnyBucket, access: WorkAccess): void {
  allow(who, ['s3:GetObject'], work, access.read, ANY_KEY);
  allow(who, ['s3:PutObject'], work, access.write, ANY_KEY);
  allow(who, ['s3:DeleteObject'], work, access.delete, ANY_KEY);
  allow(who, ['s3:AbortMultipartUpload'], work, access.abort ?? [], ANY_KEY);
  mayList(who, work);
}

/** To read a bucket's objects, or those below some prefixes. */
export function mayRead(who: Who, bucket: AnyBucket, prefixes: readonly string[] = ['*']): void {
  allow(
    who,
    ['s3:GetObject'],
    bucket,
    prefixes,
    'Any of these objects may be an image that is audited, or a list of images.',
  );
  mayList(who, bucket);
}

/** To act on verdicts: to read an object and its tags, which S3 copies with it, and where asked for to tag it. */
export function mayActOn(who: Who, bucket: AnyBucket, { tags }: { readonly tags: boolean }): void {
  mayRead(who, bucket);
  const tagging = ['s3:GetObjectTagging', ...(tags ? ['s3:PutObjectTagging'] : [])];
  allow(who, tagging, bucket, ['*'], 'Any image of the bucket may get a verdict.');
}

/** To write copies here, with the tags of what they are copies of. */
export function mayCopyTo(who: Who, bucket: AnyBucket): void {
  allow(
    who,
    ['s3:PutObject', 's3:PutObjectTagging'],
    bucket,
    ['*'],
    "Copies keep their object's bucket and key.",
  );
}

function allow(
  who: Who,
  actions: readonly string[],
  bucket: AnyBucket,
  prefixes: readonly string[],
  reason: string,
): void {
  if (prefixes.length === 0) return;
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
