import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { CreateQueueCommand, GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { describe } from 'vitest';
import { S3ObjectStore } from '#adapters/s3-store.ts';
import { SqsMessageQueue } from '#adapters/sqs-queue.ts';
import { describeMessageQueue } from '#test/contracts/message-queue.ts';
import { describeObjectStore } from '#test/contracts/object-store.ts';
import { otherS3, otherSqs } from '#test/support/other-services.ts';

const common = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
};
const run = Date.now().toString(36);
let made = 0;

describe.skipIf(otherS3 === undefined)('another S3', () => {
  const client = new S3Client({
    ...common,
    endpoint: otherS3 ?? 'http://127.0.0.1:9',
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  describeObjectStore(
    'S3ObjectStore',
    async () => {
      const bucket = `contract-${run}-${made++}`;
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      return {
        store: new S3ObjectStore({ bucket, client, pageSize: 3 }),
        [Symbol.asyncDispose]: async () => undefined,
      };
    },
    3,
  );
});

describe.skipIf(otherSqs === undefined)('another SQS', () => {
  const client = new SQSClient({
    ...common,
    endpoint: otherSqs ?? 'http://127.0.0.1:9',
    useQueueUrlAsEndpoint: false,
  });
  const create = async (name: string, attributes: Record<string, string> = {}): Promise<string> => {
    const command = new CreateQueueCommand({ QueueName: name, Attributes: attributes });
    return (await client.send(command)).QueueUrl as string;
  };
  describeMessageQueue(
    'SqsMessageQueue',
    async ({ visibilityMs, maxDeliveries }) => {
      const name = `contract-${run}-${made++}`;
      const dead = await create(`${name}-dead`);
      const { Attributes } = await client.send(
        new GetQueueAttributesCommand({ QueueUrl: dead, AttributeNames: ['QueueArn'] }),
      );
      const policy = { deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount: maxDeliveries };
      const url = await create(name, {
        VisibilityTimeout: String(visibilityMs / 1000),
        RedrivePolicy: JSON.stringify(policy),
      });
      const queue = await SqsMessageQueue.open(url, { client, maxMessageBytes: 262_144 });
      return {
        queue,
        elapse: (ms) => sleep(ms + 200),
        deadLetters: async () => {
          const letters = await queue.deadLetterQueue();
          const leases = await letters.receive({ maxMessages: 10, waitMs: 0 });
          return leases.map(({ body, reason }) => ({ body, reason }));
        },
      };
    },
    1000,
  );
});
