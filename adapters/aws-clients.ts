import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { meterClient } from './metered-clients.ts';

/** Requests that one process has under way at once; more wait for a free connection. */
const MAX_CONNECTIONS = 64;
const CONNECT_TIMEOUT_MS = 5_000;
/** Silence on a connection after which a request counts as lost. Longer than SQS's longest poll of 20 s. */
const SILENCE_TIMEOUT_MS = 30_000;
const MAX_ATTEMPTS = 5;

const requestHandler = {
  connectionTimeout: CONNECT_TIMEOUT_MS,
  socketTimeout: SILENCE_TIMEOUT_MS,
  httpAgent: { keepAlive: true, maxSockets: MAX_CONNECTIONS },
  httpsAgent: { keepAlive: true, maxSockets: MAX_CONNECTIONS },
} as const;

// Which Node versions are supported is this project's matter to tell, once and not in every process's output.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

/** The connections of a process to AWS: one pool for all its stores, one for all its queues. */
export interface AwsClients {
  readonly s3: S3Client;
  readonly sqs: SQSClient;
}

/**
 * New clients. Region, credentials and endpoint are the SDK's own matter (`AWS_REGION`, `AWS_PROFILE`,
 * `AWS_ENDPOINT_URL`, …).
 */
export function createAwsClients(options: { readonly userAgent?: string } = {}): AwsClients {
  const named = options.userAgent === undefined ? {} : { customUserAgent: options.userAgent };
  const clients = {
    s3: new S3Client({
      ...named,
      requestHandler,
      maxAttempts: MAX_ATTEMPTS,
      // Services other than AWS rarely answer to bucket names as host names.
      forcePathStyle: hasOwnEndpoint('S3'),
      // Packs carry a checksum of their own, end to end; the SDK's would be computed in addition, in both directions.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    }),
    sqs: new SQSClient({
      ...named,
      requestHandler,
      maxAttempts: MAX_ATTEMPTS,
      // The queue URLs of such services often name hosts that nobody resolves.
      useQueueUrlAsEndpoint: !hasOwnEndpoint('SQS'),
    }),
  };
  meterClient(clients.s3);
  meterClient(clients.sqs);
  return clients;
}

let shared: AwsClients | undefined;

/** The clients of this process. */
export function sharedAwsClients(): AwsClients {
  shared ??= createAwsClients();
  return shared;
}

function hasOwnEndpoint(service: 'S3' | 'SQS'): boolean {
  return (process.env['AWS_ENDPOINT_URL'] ?? process.env[`AWS_ENDPOINT_URL_${service}`] ?? '') !== '';
}
