import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PipelineConfig } from '#core/pipeline-config.ts';
import { DeployedNames } from '#test/support/deployed-names.ts';
import { dollarAnObject } from '#test/support/dollar-an-object.ts';
import { SynthesizedStack } from '#test/support/synthesized-stack.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { tinyImages, writeTinyCascade } from '#test/support/tiny-cascade.ts';
import { WatchedPipeline } from '#test/support/watched-pipeline.ts';

const KEY = 'arn:aws:kms:us-east-1:000000000000:key/1b2c3d4e-0000-4000-8000-123456789abc';
const SOURCE_KEY = 'arn:aws:kms:us-east-1:999999999999:key/5a6b7c8d-0000-4000-8000-abcdefabcdef';
const IMAGES = 8;

const environment = {
  name: 'Sluice',
  sources: [
    {
      bucket: 'test-images',
      keyArn: SOURCE_KEY,
      events: 'event-bridge',
      backfills: [{ name: 'nightly', schedule: 'cron(0 1 * * ? *)' }],
    },
  ],
  reports: ['test-reports'],
  fleet: { image: { dockerfile: 'workers/Dockerfile' } },
  quarantine: true,
  keyArn: KEY,
};
/** All that is done about a verdict, wherever it may be done. */
const everyAction = { on: ['reject'], tag: true, send: true };
/** Every picture is rejected. */
const harsh = {
  rules: [{ check: 'any', when: { measure: 'chroma', above: -1 }, verdict: 'reject' }],
};

async function until(done: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await done())) await sleep(100);
}

describe('the roles of the stack', () => {
  let single: SynthesizedStack;
  let cascade: SynthesizedStack;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;

  beforeAll(async () => {
    folder = await temporaryFolder();
    single = await SynthesizedStack.of({
      ...environment,
      pipeline: {
        shardSize: 4,
        packSize: 2,
        policy: harsh,
        actions: [{ ...everyAction, lanes: ['live', 'bulk'] }],
      },
    });
    const { stages, strict } = await writeTinyCascade(folder.path);
    cascade = await SynthesizedStack.of({
      ...environment,
      pipeline: {
        shardSize: 4,
        packSize: 2,
        cascade: {
          stages: stages.map((stage) => (stage.name === 'colours' ? { ...stage, shadow: strict } : stage)),
        },
        actions: [everyAction],
      },
    });
  });
  afterAll(async () => {
    await single[Symbol.asyncDispose]();
    await cascade[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  it('allow all that functions and workers ask of AWS, through nights, budgets, live images and dead letters', async () => {
    await using watched = await WatchedPipeline.start(single);
    const { running } = watched;
    const { works } = running.pipeline;
    const put = async (key: string, level: number): Promise<void> => {
      const create = { width: 60, height: 40, channels: 3, background: { r: level, g: 99, b: 0 } } as const;
      running.aws.objects.putObject(running.images, key, await sharp({ create }).png().toBuffer());
    };
    for (let i = 0; i < IMAGES; i++) await put(`${i}.png`, i);

    // A night, of which a pack is lost before a worker has it.
    const night = async (at: string): Promise<void> => {
      const [[, { Properties }] = ['', { Properties: {} }]] = single.ofType('AWS::Scheduler::Schedule');
      const { Input } = (Properties as { Target: { Input: unknown } }).Target;
      const text = String(new DeployedNames(single).resolve(Input));
      const jobs = await running.pipeline.queue('jobs');
      await jobs.send([text.replace('<aws.scheduler.scheduled-time>', at)]);
    };
    await night('2026-11-20T01:00:00Z');
    watched.startFunctions();
    const packs = async () => (await works.list({ prefix: 'packs/' })).objects;
    const announced = async () => (await (await running.pipeline.queue('bulk')).depth()).waiting;
    await until(async () => (await announced()) === IMAGES / 2);
    await works.delete([(await packs())[0]?.key ?? '']);
    watched.startWorker();
    await running.reached('nightly-202611200100', 'complete', 300_000);
    // The next one, which takes over what has not changed.
    await put('0.png', 200);
    await night('2026-11-21T01:00:00Z');
    const { completion } = await running.reached('nightly-202611210100', 'complete', 300_000);
    expect(completion).toMatchObject({ planned: IMAGES, audited: IMAGES });

    // Fed within a budget, from keys that lie in another bucket.
    running.aws.objects.putObject(
      'test-reports',
      'keys.txt',
      Buffer.from('1.png\n2.png\n3.png\n4.png\n5.png\n'),
    );
    await running.submit('budgeted', {
      source: { kind: 'keys', bucket: 'test-images', lists: 'test-reports', manifest: 'keys.txt' },
      budget: await dollarAnObject(1000),
    });
    await running.reached('budgeted', 'complete', 300_000);

    // A new image: its verdict is tagged, and a copy of it kept.
    running.aws.notify(running.images, running.pipeline.config.queues.events);
    await put('new.png', 7);
    const copies = running.pipeline.bucket('test-quarantine');
    await until(async () => (await copies.head('test-images/new.png')) !== undefined);
    expect(running.aws.tags.get('test-images/new.png')).toContain('reject');

    // Messages that nobody can read.
    for (const queue of ['jobs', 'shards', 'events', 'live'] as const)
      await (await running.pipeline.queue(queue)).send(['nonsense']);
    await until(async () => (await works.list({ prefix: 'dead/unknown/' })).objects.length === 4);

    expect(watched.refused()).toEqual([]);
    // It was not for want of asking.
    expect(watched.asked('worker')).toContain('s3:PutObjectTagging');
    expect(watched.asked('plan')).toContain('sqs:GetQueueUrl');
    expect(watched.asked('preprocess')).toContain('s3:DeleteObject');
    expect(watched.asked('ingest')).toContain('sqs:SendMessage');
    expect(watched.asked('finalize')).toContain('sqs:DeleteMessage');
  }, 900_000);

  it('allow all that a cascade with a model on trial asks of AWS', async () => {
    await using watched = await WatchedPipeline.start(cascade);
    const { running } = watched;
    for (const [key, bytes] of await tinyImages(IMAGES))
      running.aws.objects.putObject(running.images, key, bytes);
    running.aws.notify(running.images, running.pipeline.config.queues.events);
    watched.startFunctions();
    watched.startWorker();
    await running.submit('stages');
    const { completion } = await running.reached('stages', 'complete', 300_000);
    expect(completion.stages).toHaveLength(3);
    expect(watched.refused()).toEqual([]);
    expect(watched.asked('worker')).toContain('s3:PutObject');
  }, 900_000);

  it('are given descriptions that functions and workers can read', () => {
    for (const stack of [single, cascade])
      expect(PipelineConfig.safeParse(new DeployedNames(stack).pipeline())).toMatchObject({ success: true });
  });
});
