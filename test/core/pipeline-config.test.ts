import { describe, expect, it } from 'vitest';
import { openPipeline } from '#adapters/pipeline.ts';
import { PipelineConfig } from '#core/pipeline-config.ts';

const queues = Object.fromEntries(
  ['jobs', 'shards', 'events', 'live', 'bulk'].map((name) => [name, `https://sqs/1/${name}`]),
);

describe('the configuration of a pipeline', () => {
  it('needs a place and its queues, and has a default for all else', () => {
    const config = PipelineConfig.parse({ work: 's3://work/', queues });
    expect(config).toMatchObject({ model: 'quality', packSize: 64, worker: { batchSize: 256 }, actions: [] });
  });

  it.each([
    ['a pack larger than its shard', { packSize: 600 }, /packSize/],
    ['an action that does nothing', { actions: [{ on: ['reject'] }] }, /at least one of/],
    ['an action that sends without a queue', { actions: [{ on: ['reject'], send: true }] }, /verdicts/],
    ['a place that is none', { work: 'work' }, /s3:\/\/<bucket>/],
    ['a setting that does not exist', { bucketSize: 1 }, /bucketSize/],
    ['messages that cannot hold what they shall', { maxMessageBytes: 262_144 }, /inlineMessageBytes/],
  ])('refuses %s', async (_, change, message) => {
    const text = JSON.stringify({ work: 's3://work/', queues, ...change });
    await expect(openPipeline(undefined, { SLUICE_PIPELINE: text })).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringMatching(message),
    });
  });

  it('says where it was looked for when there is none', async () => {
    await expect(openPipeline('nowhere.json', {})).rejects.toThrow(/"nowhere.json"/);
    await expect(openPipeline(undefined, {})).rejects.toThrow(/--pipeline or SLUICE_PIPELINE/);
  });
});
