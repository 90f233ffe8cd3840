import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SluiceError } from '#core/error.ts';
import { Policy } from '#core/policy.ts';
import { redriveJob } from '#functions/finalizing/redrive.ts';
import { replayPolicy } from '#functions/finalizing/replay-policy.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { type Row, rowsOfTables, rowsOnOneMachine, withoutPlace } from '#test/support/cascade-rows.ts';
import { wrapped } from '#test/support/disturbed-backfill.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { expectedRows, writeTinyCascade, writeTinyImages } from '#test/support/tiny-cascade.ts';

const IMAGES = 24;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let cascade: Pick<Awaited<ReturnType<typeof writeTinyCascade>>, 'stages'>;
let images: ReadonlyMap<string, Buffer>;
let expected: Row[];

beforeAll(async () => {
  folder = await temporaryFolder();
  const { stages, strict } = await writeTinyCascade(folder.path);
  // The second stage has a model on trial beside it.
  cascade = {
    stages: stages.map((stage) => (stage.name === 'colours' ? { ...stage, shadow: strict } : stage)),
  };
  const written = await writeTinyImages(folder.path, IMAGES);
  ({ images } = written);
  expected = await rowsOnOneMachine(folder.path, cascade, written.photos);
  const { boxes, sure } = expectedRows(IMAGES);
  expect(expected).toHaveLength(IMAGES + boxes.length + sure.length);
});
afterAll(() => folder[Symbol.asyncDispose]());

async function start(options: Parameters<typeof RunningPipeline.start>[0] = {}): Promise<RunningPipeline> {
  const running = await RunningPipeline.start({
    visibilitySeconds: 2,
    config: { cascade, shardSize: 12, packSize: 4 },
    ...options,
  });
  for (const [key, bytes] of images) running.aws.objects.putObject(running.images, key, bytes);
  return running;
}

/** The job ends with the rows of a run on one machine, in the same order, and its proof holds. */
async function expectWhole(running: RunningPipeline): Promise<void> {
  const { works } = running.pipeline;
  const { completion } = await running.reached('job', 'complete', 90_000);
  const { boxes, sure } = expectedRows(IMAGES);
  expect(completion).toMatchObject({ planned: IMAGES, audited: IMAGES - 1, unreadable: 1, failed: 0 });
  expect(completion.stages).toMatchObject([
    { stage: 'halves', planned: IMAGES, audited: IMAGES - 1, unreadable: 1, failed: 0 },
    { stage: 'colours', planned: boxes.length, audited: boxes.length, unreadable: 0, failed: 0 },
    { stage: 'sure', planned: sure.length, audited: sure.length, unreadable: 0, failed: 0 },
  ]);
  expect(await verifyJob('job', works)).toMatchObject({ problems: [], unchecked: [] });
  expect(withoutPlace(await rowsOfTables(completion.tables, works))).toEqual(expected);
}

describe('a cascade on S3 and SQS', () => {
  it('comes to the rows of a run on one machine', async () => {
    await using running = await start();
    running.startFunctions();
    await running.startWorkerHere();
    await running.submit('job');
    await expectWhole(running);
  });

  it('is decided on anew under another policy of the images, twice over, without a decoder, a model or its parts', async () => {
    await using running = await start();
    running.startFunctions();
    const stop = await running.startWorkerHere();
    await running.submit('job');
    await expectWhole(running);
    await stop();
    await running.stopFunctions();
    const { works } = running.pipeline;
    const { objects } = await works.list({ prefix: 'parts/job/' });
    await works.delete(objects.map(({ key }) => key));

    const options = { softwareVersion: 's', tableFileBytes: 1 << 20 };
    const rule = (check: string, measure: string, above: number) =>
      Policy.parse({ rules: [{ check, when: { measure, above }, verdict: 'review' }] });
    const replayed = async (job: string, policy: Policy): Promise<[string, Row[]]> => {
      const summary = await replayPolicy(job, policy, options, works);
      const { completion } = await verifyJob(summary.job, works).then((verified) => {
        expect(verified).toMatchObject({ problems: [], unchecked: [] });
        return verified;
      });
      expect(completion.stages?.map(({ planned }) => planned)).toEqual([
        IMAGES,
        boxes.length,
        expectedRows(IMAGES).sure.length,
      ]);
      return [summary.job, await rowsOfTables(completion.tables, works)];
    };
    const { boxes } = expectedRows(IMAGES);
    const [job, rows] = await replayed('job', rule('two_red', 'colours.count', 1));
    const found = boxes.map(([name]) => name.split('#')[0]);
    for (const { key, state, verdict, checks } of rows.slice(0, IMAGES)) {
      const two = found.indexOf(String(key)) !== found.lastIndexOf(String(key));
      const expected =
        state === 'unreadable' ? ['unreadable', []] : two ? ['review', ['two_red']] : ['pass', []];
      expect([key, verdict, checks]).toEqual([key, ...expected]);
    }
    // The stages' own rows, with those of the model on trial, are what they were.
    const ofStages = (all: readonly Row[]) => withoutPlace(all).slice(IMAGES);
    expect(ofStages(rows)).toEqual(expected.slice(IMAGES));

    const [, again] = await replayed(job, rule('red', 'colours.red', 210));
    const reds = new Set(boxes.filter(([, red]) => red > 210).map(([name]) => name.split('#')[0]));
    for (const { key, checks } of again.slice(0, IMAGES))
      expect([key, checks]).toEqual([key, reds.has(String(key)) ? ['red'] : []]);
    await expect(replayPolicy('job', rule('x', 'colours.nsfw', 0.5), options, works)).rejects.toThrow(
      /speaks of "colours.nsfw", which job "job" does not have: it has .*colours.red/,
    );
  });

  it('doubles nothing when every message is delivered twice', async () => {
    await using running = await start({ aws: { duplicates: () => true } });
    running.startFunctions();
    await running.startWorkerHere();
    await running.startWorkerHere();
    await running.submit('job');
    await expectWhole(running);
  });

  it.each([
    ['follow-ups:before', 'colours'],
    ['follow-ups:after', 'colours'],
    ['part:after', 'halves'],
    ['send:before', ''],
    ['send:after', ''],
    ['ack:before', ''],
    ['delete:before', ''],
    ['part:after', 'colours'],
    ['follow-ups:after', 'sure'],
  ])(
    'outlives a worker that is killed at %s %s',
    async (point, stage) => {
      await using running = await start();
      running.startFunctions();
      await running.submit('job');
      const dying = running.startWorker({ DIE_AT: point, DIE_STAGE: stage }, 'test/support/dying-worker.ts');
      const [, signal] = await once(dying, 'exit');
      expect(signal).toBe('SIGKILL');
      await running.startWorkerHere();
      await expectWhole(running);
    },
    100_000,
  );

  it('has a pack of a following stage made again that was lost', async () => {
    let lost = 0;
    await using running = await start();
    const { works } = running.pipeline;
    running.startFunctions();
    await running.submit('job');
    // Packs of the second stage come while a worker runs: the first ones that are seen are thrown away.
    await running.startWorkerHere();
    for (let tries = 0; tries < 400 && lost === 0; tries++) {
      const { objects } = await works.list({ prefix: 'packs/' });
      const packs = objects.filter(({ key }) => key.includes('/colours/'));
      lost += packs.length;
      await works.delete(packs.map(({ key }) => key));
      await sleep(2);
    }
    expect(lost).toBeGreaterThan(0);
    await expectWhole(running);
  });

  it('lets no image pass of which a piece could not be judged, and mends it by redrive', async () => {
    // No function dies here: a shard comes once, however long its decoder takes to start. The poll of a worker that was
    // stopped may still be handed a pack, which is given out again after its visibility time-out.
    await using running = await start({
      maxDeliveries: 2,
      visibilitySeconds: 5,
      functionVisibilitySeconds: 300,
    });
    const { pipeline } = running;
    const { works } = pipeline;
    running.startFunctions();
    const broken = (): never => {
      throw new SluiceError('engine-failed', 'this model is broken');
    };
    const stop = await running.startWorkerHere({
      engineOf: (stage, engine) => (stage === 'colours' ? wrapped(engine, async () => broken()) : engine),
    });
    await running.submit('job');
    const { completion } = await running.reached('job', 'complete', 60_000);
    const { boxes } = expectedRows(IMAGES);
    expect(completion.stages).toMatchObject([
      { stage: 'halves', planned: IMAGES, failed: 0 },
      { stage: 'colours', planned: boxes.length, audited: 0, failed: boxes.length },
      { stage: 'sure', planned: 0, audited: 0, failed: 0 },
    ]);
    const rows = await rowsOfTables(completion.tables, works);
    const found = new Set(boxes.map(([name]) => name.split('#')[0]));
    for (const { key, checks, verdict } of rows.slice(0, IMAGES).filter(({ state }) => state === 'audited')) {
      const unjudged = found.has(String(key));
      expect([key, checks, verdict]).toEqual([
        key,
        unjudged ? ['colours.unjudged'] : [],
        unjudged ? 'review' : 'pass',
      ]);
    }
    await stop();
    await running.startWorkerHere();
    const causes = await redriveJob('job', { works, queue: (name) => pipeline.queue(name) });
    expect(causes).toMatchObject([{ queue: 'bulk', letters: expect.any(Number) }]);
    await expectWhole(running);
  });

  it('refuses actions on verdicts that are known only in the end', async () => {
    const action = { on: ['reject'], lanes: ['live', 'bulk'], tag: true };
    await expect(start({ config: { cascade, actions: [action] } })).rejects.toThrow(
      /expected only the live lane/,
    );
  });
});
