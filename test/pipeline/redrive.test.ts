import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { tableRows } from '#adapters/parquet-table.ts';
import { encodePart } from '#adapters/part-file.ts';
import { partKey } from '#core/job-layout.ts';
import { plannedStage } from '#core/plan.ts';
import type { Engine } from '#core/ports/engine.ts';
import { completeJob } from '#functions/finalizing/complete-job.ts';
import { liveDay } from '#functions/finalizing/live-day.ts';
import { deathCauses, redriveJob } from '#functions/finalizing/redrive.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { auditRecord } from '#test/support/audit-record.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';

const IMAGES = 12;

async function start(): Promise<RunningPipeline> {
  const running = await RunningPipeline.start({
    visibilitySeconds: 5,
    // No function dies here: a shard comes once, however long its decoder takes to start.
    functionVisibilitySeconds: 300,
    maxDeliveries: 2,
    config: { shardSize: 6, packSize: 3 },
  });
  const create = { width: 20, height: 20, channels: 3, background: '#888' } as const;
  const bytes = await sharp({ create }).jpeg().toBuffer();
  for (let i = 0; i < IMAGES; i++) running.aws.objects.putObject(running.images, `${i}.jpg`, bytes);
  return running;
}

describe('dead letters', () => {
  it('end a job with its images failed, by key and reason, and sent again make it whole', async () => {
    await using running = await start();
    const { works } = running.pipeline;
    const engine = await running.engine();
    const broken: Engine = {
      provider: engine.provider,
      inputs: engine.inputs,
      outputs: engine.outputs,
      run: () => Promise.reject(new Error('the model is out of order')),
      [Symbol.asyncDispose]: async () => undefined,
    };
    running.startFunctions();
    const stopBroken = await running.startWorkerHere({ engine: broken });
    await running.submit('job');
    const failed = await running.reached('job', 'complete');
    expect(failed.completion).toMatchObject({ planned: IMAGES, audited: 0, failed: IMAGES });
    expect((await verifyJob('job', works)).problems).toEqual([]);
    const table = failed.completion.tables[0]!;
    const [row] = await tableRows((await works.get(table.key)).body, ['state', 'error_detail']);
    expect(row).toEqual({ state: 'failed', error_detail: 'the model is out of order' });

    await stopBroken();
    await running.startWorkerHere();
    const told = await deathCauses('job', works);
    const causes = await redriveJob('job', { works, queue: (name) => running.pipeline.queue(name) });
    expect(causes).toEqual([{ queue: 'bulk', reason: 'the model is out of order', letters: 4 }]);
    // To ask why sends nothing.
    expect(told).toEqual(causes);
    expect(await deathCauses('job', works)).toEqual([]);
    const again = await running.reached('job', 'complete');
    expect(again.completion).toMatchObject({ planned: IMAGES, audited: IMAGES, failed: 0 });
    expect((await verifyJob('job', works)).problems).toEqual([]);
  });
});

describe('a day of the live lane', () => {
  it('is compacted like a job, each object as it was in one row', async () => {
    await using running = await start();
    const { works } = running.pipeline;
    const manifest = await running.pipeline.manifest();
    const stage = plannedStage(manifest);
    const put = async (name: string, key: string, etag: string): Promise<void> => {
      const record = { ...auditRecord({ key }), etag };
      const id = { job: 'live-2026-11-19', stage: stage.name, name };
      await works.put(partKey(id), encodePart([record]));
    };
    await put('1', 'a.jpg', 'first');
    await put('2', 'a.jpg', 'second');
    await put('3', 'a.jpg', 'second');
    const made = { policyHash: 'q', softwareVersion: 'test' };
    const day = (await liveDay('live-2026-11-19', stage, works, made))!;
    const { completion } = await completeJob(
      day.plan,
      undefined,
      { policy: manifest.policy, softwareVersion: 'test', tableFileBytes: 2 ** 27 },
      { works, reasonOf: () => '', thumbnail: async () => undefined, records: day.records },
    );
    expect(completion).toMatchObject({ planned: 2, audited: 2, failed: 0 });
    expect(completion.tables[0]?.key).toContain('dt=2026-11-19/run=live-2026-11-19/');
    expect((await verifyJob('live-2026-11-19', works)).problems).toEqual([]);
    expect(await liveDay('live-2026-11-18', stage, works, made)).toBeUndefined();
  });
});
