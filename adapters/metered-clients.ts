import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { SQS_CHUNK_BYTES } from '#core/cost/prices.ts';
import { countUsage } from './meter.ts';

interface Message {
  readonly headers?: Readonly<Record<string, string>>;
  readonly statusCode?: number;
}

/**
 * Counts every request that a client sends, each try for itself: it stands inside the SDK's retries, next to the
 * connection. A request counts when it is sent, for whoever sends it; what it is billed at, once it is answered.
 */
export function meterClient(client: S3Client | SQSClient): void {
  /** When a call's last try was sent; all its tries share a context. */
  const triedMs = new WeakMap<object, number>();
  const service = client.config.serviceId === 'SQS' ? 'sqs' : 's3';
  // The two clients' stacks have no type in common.
  (client as S3Client).middlewareStack.add(
    (next, context) => async (args) => {
      const request = args.request as Message;
      const { commandName = 'Unknown' } = context as { commandName?: string };
      const kind = `${service}:${commandName.replace(/Command$/, '')}`;
      const retries = /attempt=1(;|$)/.test(request.headers?.['amz-sdk-request'] ?? 'attempt=1') ? 0 : 1;
      const sentBytes = bytesOf(request);
      const sentMs = performance.now();
      if (retries > 0) countUsage({ ms: { retried: sentMs - (triedMs.get(context) ?? sentMs) } });
      triedMs.set(context, sentMs);
      countUsage({ requests: { [kind]: { count: 1, retries, units: 0 } }, bytesOut: sentBytes });
      const bill = (units: number): void =>
        countUsage({ requests: { [kind]: { count: 0, retries: 0, units } } });
      try {
        const result = await next(args);
        const response = result.response as Message;
        countUsage({ bytesIn: commandName === 'HeadObjectCommand' ? 0 : bytesOf(response) });
        if (service === 'sqs') bill(chunks(Math.max(sentBytes, bytesOf(response))));
        else bill((response.statusCode ?? 200) >= 500 ? 0 : 1);
        return result;
      } catch (error) {
        // Nobody knows whether it arrived: then it is billed.
        bill(service === 'sqs' ? chunks(sentBytes) : 1);
        throw error;
      }
    },
    { step: 'deserialize', priority: 'low', name: 'sluiceMeter' },
  );
}

function chunks(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / SQS_CHUNK_BYTES));
}

function bytesOf({ headers = {} }: Message): number {
  return Number(headers['content-length'] ?? 0) || 0;
}
