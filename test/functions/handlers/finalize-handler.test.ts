import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAwsClients } from '#adapters/aws-clients.ts';
import { jsonLog } from '#adapters/json-log.ts';
import { encodePart } from '#adapters/part-file.ts';
import { Pipeline } from '#adapters/pipeline.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import {
  completionKey,
  finalizingKey,
  openKey,
  partKey,
  planKey,
  rangeName,
  requestKey,
  shardKey,
} from '#core/job-layout.ts';
import { plannedStage } from '#core/plan.ts';
import { closingOf } from '#functions/finalizing/closing.ts';
import { completionOf } from '#functions/finalizing/complete-job.ts';
import { FinalizingAttempt } from '#functions/finalizing/finalizing-attempt.ts';
import { redriveJob } from '#functions/finalizing/redrive.ts';
import { replayPolicy } from '#functions/finalizing/replay-policy.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { finalizeHandler } from '#functions/handlers/finalize-handler.ts';
import { readJson, writeJson } from '#functions/json-object.ts';
import { createPipeline } from '#local-aws/local-pipeline.ts';
import { type LocalAws, startLocalAws } from '#local-aws/server.ts';
import { auditRecord } from '#test/support/audit-record.ts';

const MINUTE_MS = 60_000;

let aws: LocalAws;
let pipeline: Pipeline;
let log: string[];
beforeEach(async () => {
  aws = await startLocalAws();
  Object.assign(process.env, aws.env);
  const { config } = await createPipeline(aws, { name: 'closing' });
  pipeline = new Pipeline(config, createAwsClients());
  log = [];
});
afterEach(() => aws[Symbol.asyncDispose]());

async function finalize(timeLeftMs = 15 * MINUTE_MS) {
  const handler = await finalizeHandler(
    pipeline,
    undefined,
    jsonLog({}, (line) => void log.push(line)),
  );
  return handler({}, { getRemainingTimeInMillis: () => timeLeftMs });
}

async function stageOfPipeline() {
  return plannedStage(await pipeline.manifest());
}

/** A row of one image in a part of its own. */
async function putPart(job: string, name: string, change: Partial<AuditRecord>): Promise<void> {
  const stage = await stageOfPipeline();
  await pipeline.works.put(partKey({ job, stage: stage.name, name }), encodePart([auditRecord(change)]));
}

const created = (day: string, key: string): string =>
  JSON.stringify({
    Records: [
      {
        eventName: 'ObjectCreated:Put',
        eventTime: `${day}T12:00:00.000Z`,
        s3: { bucket: { name: 'closing-images' }, object: { key, size: 9, eTag: 'etag' } },
      },
    ],
  });

describe('the days of the live lane', () => {
  it('are all closed that are over, each image that came with one terminal state', async () => {
    const { works } = pipeline;
    await putPart('live-2026-10-01', '1', { key: 'a.jpg' });
    await putPart('live-2026-10-02', '1', { key: 'b.jpg' });
    await putPart(`live-${new Date().toISOString().slice(0, 10)}`, '1', { key: 'today.jpg' });
    const events = await pipeline.queue('events');
    // Of a day on which nothing else came, and of one on which its image has a row after all.
    await events.bury(created('2026-10-03', 'lost.jpg'), 'the function died of it');
    await events.bury(created('2026-10-02', 'b.jpg'), 'the function died of it');
    const days = ['live-2026-10-01', 'live-2026-10-02', 'live-2026-10-03'];
    expect(await finalize()).toEqual({ completed: days, open: 0, deadLetters: 2 });
    expect(await completionOf('live-2026-10-02', works)).toMatchObject({ planned: 1, audited: 1, failed: 0 });
    expect(await completionOf('live-2026-10-03', works)).toMatchObject({ planned: 1, audited: 0, failed: 1 });
    const summary = (await works.get('results/jobs/live-2026-10-03/summary.json')).body.toString();
    expect(JSON.parse(summary)).toMatchObject({
      failedKeys: [{ key: 'lost.jpg', reason: 'the function died of it' }],
    });
    for (const day of days)
      expect(await verifyJob(day, works)).toMatchObject({ problems: [], unchecked: [] });
    expect(await finalize()).toEqual({ completed: [], open: 0, deadLetters: 0 });
  });

  it('can be decided on anew, and verify tells of a part that came after they were closed', async () => {
    const { works } = pipeline;
    await putPart('live-2026-10-01', '1', { key: 'a.jpg', widthPx: 10 });
    await finalize();
    const { policy } = await pipeline.manifest();
    const tiny = { check: 'tiny', when: { measure: 'width', below: 100 }, verdict: 'reject' as const };
    const options = { softwareVersion: 'test', tableFileBytes: 2 ** 27 };
    const replayed = await replayPolicy('live-2026-10-01', { ...policy, rules: [tiny] }, options, works);
    expect(replayed.verdicts).toMatchObject({ reject: 1 });

    await putPart('live-2026-10-01', '2', { key: 'late.jpg' });
    expect((await verifyJob('live-2026-10-01', works)).problems).toEqual([
      'the parts are not those that the results were made from',
    ]);
    const closing = await closingOf('live-2026-10-01', pipeline);
    expect(closing.kind === 'over' && (await closing.complete())).toMatchObject({ planned: 2 });
    expect((await verifyJob('live-2026-10-01', works)).problems).toEqual([]);
  });

  it('wait for what is sent again', async () => {
    const { works } = pipeline;
    await (await pipeline.queue('events')).bury(created('2026-10-01', 'lost.jpg'), 'the function died of it');
    await finalize();
    const job = 'live-2026-10-01';
    const causes = await redriveJob(job, { works, queue: (name) => pipeline.queue(name) });
    expect(causes).toMatchObject([{ queue: 'events', letters: 1 }]);
    expect((await (await pipeline.queue('events')).depth()).waiting).toBe(1);
    expect(await finalize()).toEqual({ completed: [], open: 1, deadLetters: 0 });
    await putPart(job, '1', { key: 'lost.jpg' });
    // An hour later.
    await works.delete([openKey(job)]);
    expect(await finalize()).toMatchObject({ completed: [job] });
    expect(await completionOf(job, works)).toMatchObject({ planned: 1, audited: 1, failed: 0 });
  });
});

/** A job of one image, which is over. */
async function putJob(job: string): Promise<void> {
  const { works } = pipeline;
  const stage = await stageOfPipeline();
  const submittedAt = '2026-10-01T00:00:00.000Z';
  const source = { kind: 'prefix', bucket: 'closing-images', prefix: '' };
  const filter = { include: [], exclude: [], suffixes: [] };
  const request = { schema: 1, job, source, filter, incremental: false, submittedAt };
  await writeJson(works, requestKey(job), request);
  const refs = [{ key: 'a.jpg', etag: 'etag', bytes: 1000 }];
  await writeJson(works, shardKey(job, 0), { schema: 1, job, shard: 0, refs });
  await writeJson(works, planKey(job), {
    schema: 1,
    job,
    source: 's3://closing-images/',
    createdAt: submittedAt,
    stage,
    bucket: 'closing-images',
    packSize: 1,
    shards: [{ shard: 0, refs: 1 }],
    images: 1,
    bytes: 1000,
    carried: null,
    problems: [],
    problemCount: 0,
  });
  await putPart(job, rangeName({ shard: 0, range: 0 }), { key: 'a.jpg' });
  await works.put(openKey(job), Buffer.from(''));
}

describe('a job that takes more than a function has', () => {
  const died = (deaths: number) =>
    writeJson(pipeline.works, finalizingKey('large'), { at: new Date().toISOString(), deaths });

  it('gets a whole invocation after the first of them has died of it, and is left alone after the third', async () => {
    await putJob('large');
    await died(1);
    const clock = [15 * MINUTE_MS, 5 * MINUTE_MS];
    const handler = await finalizeHandler(
      pipeline,
      undefined,
      jsonLog({}, (line) => void log.push(line)),
    );
    const late = await handler({}, { getRemainingTimeInMillis: () => clock.shift() ?? 5 * MINUTE_MS });
    expect(late).toMatchObject({ completed: [], open: 1 });
    await died(3);
    expect(await finalize()).toMatchObject({ completed: [], open: 1 });
    expect(log.join('')).toMatch(/sluice finalize large/);
    await died(1);
    expect(await finalize()).toMatchObject({ completed: ['large'], open: 0 });
  });

  it('is completed where there is no such limit, and keeps no other job from its completion', async () => {
    await putJob('large');
    await putJob('small');
    await died(3);
    expect(await finalize()).toMatchObject({ completed: ['small'], open: 1 });
    const closing = await closingOf('large', pipeline);
    expect(closing.kind === 'over' && (await closing.complete())).toMatchObject({ planned: 1, audited: 1 });
    expect(await pipeline.works.head(finalizingKey('large'))).toBeUndefined();
    expect(await finalize()).toMatchObject({ open: 0 });
  });

  it('says why, where it fails and does not die', async () => {
    await putJob('large');
    const table = `parts/large/${(await stageOfPipeline()).name}/000000-000.parquet`;
    await putPart('large', rangeName({ shard: 0, range: 0 }), { key: 'another.jpg' });
    expect(await pipeline.works.head(table)).toBeDefined();
    expect(await finalize()).toMatchObject({ completed: [], open: 1 });
    expect(await readJson(pipeline.works, finalizingKey('large'), FinalizingAttempt)).toMatchObject({
      deaths: 0,
      reason: expect.stringMatching(/does not hold the 1 images of its range/),
    });
    expect(await pipeline.works.head(completionKey('large'))).toBeUndefined();
  });
});
