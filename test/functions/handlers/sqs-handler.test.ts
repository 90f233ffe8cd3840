import type { SQSRecord } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { jsonLog } from '#adapters/json-log.ts';
import { SluiceError } from '#core/error.ts';
import { sqsHandler } from '#functions/handlers/sqs-handler.ts';

function record(body: string, deliveries = 1): SQSRecord {
  return {
    messageId: body,
    receiptHandle: body,
    body,
    attributes: { ApproximateReceiveCount: String(deliveries) } as SQSRecord['attributes'],
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: '',
    awsRegion: '',
  };
}

async function invoke(records: readonly SQSRecord[], leftMs = 60_000) {
  const buried: string[] = [];
  const handled: string[] = [];
  const handler = sqsHandler<string>({
    stage: 'preprocess',
    queue: { maxDeliveries: 3, bury: async (body, reason) => void buried.push(`${body}: ${reason}`) },
    log: jsonLog({}, () => undefined),
    concurrency: 2,
    minTimeLeftMs: 1000,
    parse: (body) => {
      if (body === 'malformed') throw new SluiceError('message-malformed', 'not ours');
      return body.split('+');
    },
    handle: async (item) => {
      if (item.startsWith('bad')) throw new Error(`no ${item}`);
      handled.push(item);
    },
  });
  const { batchItemFailures } = await handler(
    { Records: [...records] },
    { getRemainingTimeInMillis: () => leftMs },
  );
  return { failed: batchItemFailures.map(({ itemIdentifier }) => itemIdentifier), buried, handled };
}

describe('a function on an SQS queue', () => {
  it('reports what failed, and nothing beside it', async () => {
    const result = await invoke([record('a'), record('bad'), record('b+c')]);
    expect(result).toEqual({ failed: ['bad'], buried: [], handled: ['a', 'b', 'c'] });
  });

  it('puts malformed messages among the dead letters at once, and others on their last delivery', async () => {
    const result = await invoke([record('malformed'), record('bad', 3), record('bad too', 2)]);
    expect(result.buried).toEqual(['malformed: not ours', 'bad: no bad']);
    expect(result.failed).toEqual(['bad too']);
  });

  it('hands messages back that it has no time for', async () => {
    const result = await invoke([record('a'), record('b')], 500);
    expect(result).toEqual({ failed: ['a', 'b'], buried: [], handled: [] });
  });
});
