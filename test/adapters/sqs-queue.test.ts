import { setTimeout as sleep } from 'node:timers/promises';
import { SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SqsMessageQueue } from '#adapters/sqs-queue.ts';
import { type Fault, type LocalAws, startLocalAws } from '#local-aws/server.ts';
import { describeMessageQueue } from '#test/contracts/message-queue.ts';

let aws: LocalAws;
let faultOf: () => Fault = () => undefined;
let queues = 0;
beforeAll(async () => {
  aws = await startLocalAws({ fault: () => faultOf() });
});
afterAll(() => aws[Symbol.asyncDispose]());

function client(): SQSClient {
  return new SQSClient({
    endpoint: aws.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
  });
}

async function open(options: { visibilityMs: number; maxDeliveries: number }): Promise<SqsMessageQueue> {
  const url = await aws.createQueue(`queue-${queues++}`, {
    visibilitySeconds: options.visibilityMs / 1000,
    maxDeliveries: options.maxDeliveries,
  });
  return SqsMessageQueue.open(url, { client: client() });
}

describeMessageQueue(
  'SqsMessageQueue',
  async (options) => {
    const queue = await open(options);
    return {
      queue,
      elapse: (ms) => sleep(ms + 50),
      deadLetters: async () => {
        const leases = await (await queue.deadLetterQueue()).receive({ maxMessages: 10, waitMs: 0 });
        return leases.map(({ body, reason }) => ({ body, reason }));
      },
    };
  },
  1000,
);

describe('SqsMessageQueue', () => {
  const options = { visibilityMs: 30_000, maxDeliveries: 3 };

  it('refuses a queue without a dead-letter queue, and one that is not there', async () => {
    const { url } = await (await open(options)).deadLetterQueue();
    await expect(SqsMessageQueue.open(url, { client: client() })).rejects.toMatchObject({
      code: 'service-misconfigured',
      message: expect.stringContaining('RedrivePolicy'),
    });
    await expect(
      SqsMessageQueue.open(`${aws.endpoint}/000000000000/none`, { client: client() }),
    ).rejects.toMatchObject({ code: 'service-misconfigured', message: expect.stringContaining('/none') });
  });

  it('keeps every batch within what SQS takes', async () => {
    const queue = await open(options);
    const bodies = Array.from({ length: 5 }, (_, i) => `${i}${'x'.repeat(400_000)}`);
    await queue.send(bodies);
    expect(await queue.depth()).toEqual({ waiting: 5, leased: 0 });
    await expect(queue.send(['x'.repeat(1_048_577)])).rejects.toThrow(/1048577 bytes/);
  });

  it('carries every character that JSON carries', async () => {
    const queue = await open(options);
    const key = 'a\u0000b\uFFFF\uD800😀';
    await queue.send([JSON.stringify({ key })]);
    const [lease] = await queue.receive({ maxMessages: 1, waitMs: 0 });
    expect(JSON.parse(lease?.body ?? '')).toEqual({ key });
  });

  it('sends and acknowledges through throttling', async () => {
    const queue = await open(options);
    let requests = 0;
    faultOf = () => (requests++ % 2 === 0 ? 'throttled' : undefined);
    try {
      await queue.send(Array.from({ length: 30 }, (_, i) => String(i)));
      for (let left = 30; left > 0; ) {
        const leases = await queue.receive({ maxMessages: 10, waitMs: 1000 });
        await Promise.all(leases.map((lease) => lease.ack()));
        left -= leases.length;
      }
    } finally {
      faultOf = () => undefined;
    }
    expect(await queue.depth()).toEqual({ waiting: 0, leased: 0 });
  });
});
