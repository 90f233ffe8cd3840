const CLASSES: Readonly<Record<string, RequestClass>> = {
  's3:ListObjectsV2': 'list',
  's3:PutObject': 'put',
  's3:CopyObject': 'put',
  's3:PutObjectTagging': 'put',
  's3:CreateMultipartUpload': 'put',
  's3:UploadPart': 'put',
  's3:CompleteMultipartUpload': 'put',
  's3:GetObject': 'get',
  's3:HeadObject': 'get',
  's3:GetObjectTagging': 'get',
  's3:DeleteObjects': 'free',
  's3:AbortMultipartUpload': 'free',
};

/** What AWS bills a request as. */
export type RequestClass = 'put' | 'get' | 'list' | 'free' | 'sqs';

/** Of an operation as the SDK names it, with its service: `s3:GetObject`. `undefined` for one that no price is known of. */
export function requestClass(kind: string): RequestClass | undefined {
  return kind.startsWith('sqs:') ? 'sqs' : CLASSES[kind];
}
