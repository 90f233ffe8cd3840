import type { SeenRequest } from '#local-aws/server.ts';
import type { PermissionRequest } from './iam-policy.ts';

/**
 * The permissions that one request to S3 or SQS takes. Sources: "Required permissions for Amazon S3 API operations" in the
 * S3 user guide, "Amazon SQS API permissions" in the SQS developer guide; a batch takes what its entries take.
 */
export function permissionsOf(request: SeenRequest): PermissionRequest[] {
  return request.service === 'sqs' ? permissionsOnQueue(request) : permissionsOnBucket(request);
}

function permissionsOnQueue({ action, body }: SeenRequest): PermissionRequest[] {
  const { QueueUrl, QueueName } = JSON.parse(body) as { QueueUrl?: string; QueueName?: string };
  const name = QueueName ?? new URL(QueueUrl ?? '').pathname.split('/').at(-1) ?? '';
  return [{ action: `sqs:${action.replace(/Batch$/, '')}`, resource: queueArn(name) }];
}

function permissionsOnBucket({ method, url, headers, body }: SeenRequest): PermissionRequest[] {
  const { pathname, searchParams } = new URL(url, 'http://local');
  const [bucket = '', ...rest] = pathname.slice(1).split('/').map(decodeURIComponent);
  const on = (action: string, key = rest.join('/'), of = bucket): PermissionRequest => ({
    action: `s3:${action}`,
    resource: objectArn(of, key),
  });
  if (rest.join('/') === '') {
    if (method === 'POST' && searchParams.has('delete'))
      return [...body.matchAll(/<Key>(.*?)<\/Key>/gs)].map(([, key = '']) => on('DeleteObject', key));
    if (method === 'GET') return [{ action: 's3:ListBucket', resource: `arn:aws:s3:::${bucket}` }];
  }
  if (searchParams.has('tagging')) return [on(method === 'PUT' ? 'PutObjectTagging' : 'GetObjectTagging')];
  if (method === 'GET' || method === 'HEAD') return [on('GetObject')];
  if (method === 'DELETE')
    return [on(searchParams.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject')];
  const copied = headers['x-amz-copy-source'];
  if (typeof copied !== 'string') return [on('PutObject')];
  const [, from = '', key = ''] = /^\/?([^/]+)\/(.+)$/s.exec(decodeURIComponent(copied)) ?? [];
  return [
    on('PutObject'),
    on('GetObject', key, from),
    // Tags are copied too, and the object may have some.
    on('PutObjectTagging'),
    on('GetObjectTagging', key, from),
  ];
}

/** What KMS is asked for in the name of whoever makes the request, where buckets and queues have a key of their own. */
export function keyActionsOf({ action }: PermissionRequest): string[] {
  switch (action) {
    case 's3:GetObject':
    case 'sqs:ReceiveMessage':
      return ['kms:Decrypt'];
    case 's3:PutObject':
      return ['kms:GenerateDataKey'];
    case 'sqs:SendMessage':
      return ['kms:GenerateDataKey', 'kms:Decrypt'];
    default:
      return [];
  }
}

export function queueArn(name: string): string {
  return `arn:aws:sqs:us-east-1:000000000000:${name}`;
}

function objectArn(bucket: string, key: string): string {
  return `arn:aws:s3:::${bucket}/${key}`;
}
