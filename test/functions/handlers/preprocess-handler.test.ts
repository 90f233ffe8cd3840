import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { SQSRecord } from 'aws-lambda';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAwsClients } from '#adapters/aws-clients.ts';
import { jsonLog } from '#adapters/json-log.ts';
import { Pipeline } from '#adapters/pipeline.ts';
import type { ShardMessage } from '#core/messages.ts';
import { preprocessHandler } from '#functions/handlers/preprocess-handler.ts';
import type { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { createPipeline } from '#local-aws/local-pipeline.ts';
import { type LocalAws, startLocalAws } from '#local-aws/server.ts';

const MESSAGE: ShardMessage = { v: 1, type: 'shard', job: 'job', shard: 7, ranges: [1, 2], remakes: 0 };

let aws: LocalAws;
let pipeline: Pipeline;
let requests: string[] = [];
beforeAll(async () => {
  aws = await startLocalAws({
    fault: ({ service, action, method }) => {
      requests.push(service === 's3' ? `s3 ${method}` : action);
      return undefined;
    },
  });
  Object.assign(process.env, aws.env);
  const { config } = await createPipeline(aws, { name: 'backlog', config: { maxBacklogPacks: 1 } });
  pipeline = new Pipeline(config, createAwsClients());
});
afterAll(() => aws[Symbol.asyncDispose]());

/** Invokes the function with a message, each time with the one that it sends in its place. */
async function handedBack(message: ShardMessage): Promise<{ next: ShardMessage; asked: string[] }> {
  const handler = await preprocessHandler(
    pipeline,
    { concurrency: 1 } as PackProcesses,
    jsonLog({}, () => undefined),
    { handedBackDelayMs: 0 },
  );
  requests = [];
  const record = {
    messageId: '1',
    body: JSON.stringify(message),
    attributes: { ApproximateReceiveCount: '1' },
  };
  const answer = await handler(
    { Records: [record as unknown as SQSRecord] },
    { getRemainingTimeInMillis: () => 300_000 },
  );
  expect(answer).toEqual({ batchItemFailures: [] });
  const asked = requests;
  const [lease] = await (await pipeline.queue('shards')).receive({ maxMessages: 1, waitMs: 5000 });
  await lease?.ack();
  return { next: JSON.parse(lease?.body ?? 'null') as ShardMessage, asked };
}

describe('a shard that finds the backlog full', () => {
  it('goes back before anything is read of it, and waits longer each time while no worker runs', async () => {
    const bulk = await pipeline.queue('bulk');
    await bulk.send(['a pack that nobody takes']);
    const first = await handedBack(MESSAGE);
    expect(first.next).toEqual({ ...MESSAGE, handedBack: 1 });
    expect(first.asked.filter((request) => request.startsWith('s3'))).toEqual([]);
    const second = await handedBack(first.next);
    expect(second.next).toEqual({ ...MESSAGE, handedBack: 2 });

    // A worker takes it in hand: the backlog is full, and will not be for long.
    const QueueUrl = pipeline.config.queues.bulk;
    await pipeline.clients.sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }));
    expect((await handedBack(second.next)).next).toEqual(MESSAGE);
  });
});
