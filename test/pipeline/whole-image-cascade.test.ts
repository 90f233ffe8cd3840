import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobState } from '#functions/finalizing/job-state.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import type { FaultRequest } from '#local-aws/server.ts';
import { type Row, rowsOfTables, rowsOnOneMachine, withoutPlace } from '#test/support/cascade-rows.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { writeTinyImages } from '#test/support/tiny-cascade.ts';
import { seenByStages, writeWholeImageCascade } from '#test/support/whole-image-cascade.ts';

const IMAGES = 12;
/** Long enough for no message to come twice, however busy the machine is: then reads can be counted. */
const UNDISTURBED_SECONDS = 120;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let cascade: Awaited<ReturnType<typeof writeWholeImageCascade>>;
let images: ReadonlyMap<string, Buffer>;
/** The rows of a run on one machine. */
let expected: Row[];
let seen: Awaited<ReturnType<typeof seenByStages>>;

beforeAll(async () => {
  folder = await temporaryFolder();
  cascade = await writeWholeImageCascade(folder.path);
  seen = await seenByStages(IMAGES);
  const written = await writeTinyImages(folder.path, IMAGES);
  ({ images } = written);
  expected = await rowsOnOneMachine(folder.path, cascade, written.photos);
  expect(expected).toHaveLength(Object.values(seen).flat().length);
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Fresh buckets and queues with the images in them, and how often each image is read from now on. */
async function start({ aws = {}, visibilitySeconds = 2 }: Parameters<typeof RunningPipeline.start>[0] = {}) {
  const reads = new Map<string, number>();
  const fault = ({ method, service, url }: FaultRequest): undefined => {
    const key = /\/(\d+\.png)/.exec(url)?.[1];
    if (service === 's3' && method === 'GET' && key !== undefined) reads.set(key, (reads.get(key) ?? 0) + 1);
  };
  const running = await RunningPipeline.start({
    visibilitySeconds,
    // A shard comes once, however long its decoder takes to start.
    functionVisibilitySeconds: 300,
    config: { cascade, shardSize: 8, packSize: 4 },
    aws: { fault, ...aws },
  });
  for (const [key, bytes] of images) running.aws.objects.putObject(running.images, key, bytes);
  return { running, reads, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

/** Runs a job up to its last part: the report, which reads some of the images once more, is still to come. */
async function auditAll(running: RunningPipeline): Promise<void> {
  running.startFunctions({ finalizeEveryMs: 3_600_000 });
  await running.submit('job');
  for (let isOver = false; !isOver; await sleep(100)) {
    const state = await jobState('job', running.pipeline.works);
    isOver = state.kind === 'running' && state.progress.isOver;
  }
  await running.stopFunctions();
}

/** The job ends with the rows of a run on one machine, in the same order; its proof holds; no pack is left. */
async function expectWhole(running: RunningPipeline): Promise<void> {
  const { works } = running.pipeline;
  const { completion } = await running.reached('job', 'complete', 180_000);
  expect(completion.stages).toMatchObject(
    cascade.stages.map(({ name, from }) => {
      const planned = seen[name]?.length ?? 0;
      const unreadable = from === undefined ? 1 : 0;
      return { stage: name, planned, audited: planned - unreadable, unreadable, failed: 0 };
    }),
  );
  expect(await verifyJob('job', works)).toMatchObject({ problems: [], unchecked: [] });
  expect(withoutPlace(await rowsOfTables(completion.tables, works))).toEqual(expected);
}

const packsLeft = async ({ pipeline }: RunningPipeline): Promise<string[]> =>
  (await pipeline.works.list({ prefix: 'packs/' })).objects.map(({ key }) => key);

describe('a cascade whose stages see whole images, on S3 and SQS', () => {
  it('reads each image once for all stages that see all of them, and leaves no pack behind', async () => {
    await using job = await start({ visibilitySeconds: UNDISTURBED_SECONDS });
    const { running, reads } = job;
    const stop = await running.startWorkerHere();
    await auditAll(running);
    for (const key of images.keys()) {
      // Once more for what follows on another stage and takes pictures otherwise.
      const others = seen['smooth-reds']?.includes(key) ? 1 : 0;
      expect([key, reads.get(key)]).toEqual([key, 1 + others]);
    }
    running.startFunctions();
    await expectWhole(running);
    await stop();
    expect(await packsLeft(running)).toEqual([]);
  });

  it('doubles nothing when every message is delivered twice', async () => {
    await using job = await start({ aws: { duplicates: () => true } });
    const { running } = job;
    running.startFunctions();
    await running.startWorkerHere();
    await running.startWorkerHere();
    await running.submit('job');
    await expectWhole(running);
  });

  it.each([
    ['part:before', 'levels'],
    ['part:after', 'colours'],
    ['cut:before', 'reddish'],
    ['cut:after', 'reddish'],
    ['send:after', ''],
    ['part:after', 'reddish'],
    ['delete:before', ''],
  ])(
    'outlives a worker that is killed at %s %s',
    async (point, stage) => {
      await using job = await start();
      const { running } = job;
      running.startFunctions();
      await running.submit('job');
      const dying = running.startWorker({ DIE_AT: point, DIE_STAGE: stage }, 'test/support/dying-worker.ts');
      const [, signal] = await once(dying, 'exit');
      expect(signal).toBe('SIGKILL');
      await running.startWorkerHere();
      await expectWhole(running);
    },
    300_000,
  );

  it('comes to the same rows where every pack that was cut out is lost, and its images are decoded anew', async () => {
    await using job = await start({ visibilitySeconds: UNDISTURBED_SECONDS });
    const { running, reads } = job;
    const { works } = running.pipeline;
    const put = works.put.bind(works);
    let lost = 0;
    works.put = async (...args) => {
      if (!/^packs\/.*\/(reddish|reddest)\//.test(args[0])) return put(...args);
      lost++;
      return 'written';
    };
    await running.startWorkerHere();
    await auditAll(running);
    expect(lost).toBeGreaterThan(0);
    for (const key of images.keys()) {
      const cut = ['reddish', 'reddest'].filter((stage) => seen[stage]?.includes(key)).length;
      const others = seen['smooth-reds']?.includes(key) ? 1 : 0;
      expect([key, reads.get(key)]).toEqual([key, 1 + others + cut]);
    }
    running.startFunctions();
    await expectWhole(running);
  });
});
