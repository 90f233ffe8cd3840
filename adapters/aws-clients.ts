import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';

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

let s3: S3Client | undefined;
let sqs: SQSClient | undefined;

/**
 * The S3 client of this process: one pool of connections for all stores. Region, credentials and endpoint are the
 * SDK's own matter (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, …).
 */
export function sharedS3Client(): S3Client {
  s3 ??= new S3Client({
    requestHandler,
    maxAttempts: MAX_ATTEMPTS,
    // Services other than AWS rarely answer to bucket names as host names.
    forcePathStyle: hasOwnEndpoint('S3'),
    // Packs carry a checksum of their own, end to end; the SDK's would be computed in addition, in both directions.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  return s3;
}

/** The SQS client of this process. */
export function sharedSqsClient(): SQSClient {
  sqs ??= new SQSClient({
    requestHandler,
    maxAttempts: MAX_ATTEMPTS,
    // The queue URLs of such services often name hosts that nobody resolves.
    useQueueUrlAsEndpoint: !hasOwnEndpoint('SQS'),
  });
  return sqs;
}

function hasOwnEndpoint(service: 'S3' | 'SQS'): boolean {
  return (process.env['AWS_ENDPOINT_URL'] ?? process.env[`AWS_ENDPOINT_URL_${service}`] ?? '') !== '';
}
