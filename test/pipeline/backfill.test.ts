import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { loadManifest } from '#adapters/model-folder.ts';
import { completionKey } from '#core/job-layout.ts';
import type { Policy } from '#core/policy.ts';
import { replayPolicy } from '#functions/finalizing/replay-policy.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { auditRows } from '#test/support/audit-rows.ts';
import { writePhotos } from '#test/support/photo-folder.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const IMAGES = 150;
/** What differs by where and when a row was made, not by what it says. */
const RECEIPT = ['etag', 'job', 'pack', 'preprocess_ms'];

describe('a backfill over S3 and SQS', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let running: RunningPipeline;
  let photos: string;
  beforeAll(async () => {
    folder = await temporaryFolder();
    photos = join(folder.path, 'photos');
    await writePhotos(photos, IMAGES);
    running = await RunningPipeline.start({ config: { shardSize: 40, packSize: 8 } });
    const store = running.pipeline.bucket(running.images);
    for (const { key } of (await new FolderStore(photos).list()).objects) {
      await store.put(key, await readFile(join(photos, key)));
    }
    running.startFunctions();
    running.startWorker();
    running.startWorker();
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  it('comes to the same rows as the run of a folder, and to a proof that holds', async () => {
    await running.submit('first');
    const { completion } = await running.reached('first', 'complete');
    expect(completion).toMatchObject({
      planned: IMAGES,
      audited: 135,
      unreadable: 15,
      failed: 0,
      carried: 0,
    });
    const verification = await verifyJob('first', running.pipeline.works);
    expect(verification).toMatchObject({ problems: [], unchecked: [] });

    const out = join(folder.path, 'out');
    expect((await sluice('run', photos, '--out', out, '--quiet').result).exitCode).toBe(0);
    const local = await auditRows(new FolderStore(out), ['audit.parquet'], RECEIPT);
    const cloud = await auditRows(
      running.pipeline.works,
      completion.tables.map(({ key }) => key),
      RECEIPT,
    );
    expect(cloud).toEqual(local);
  });

  it('is told by verify when a result has changed', async () => {
    const { completion } = await running.reached('first', 'complete');
    const { works } = running.pipeline;
    const table = completion.tables[0]!;
    const { body } = await works.get(table.key);
    await works.put(table.key, Buffer.concat([body, Buffer.from('x')]));
    expect((await verifyJob('first', works)).problems[0]).toMatch(/has changed/);
    await works.put(table.key, body);
    expect((await verifyJob('first', works)).problems).toEqual([]);
  });

  it('audits only what is new or changed when it is incremental, and carries the other rows over', async () => {
    const store = running.pipeline.bucket(running.images);
    const changed = await store.get('0001.jpg');
    await store.put('0000.jpg', changed.body);
    await store.put('new.jpg', changed.body);
    await store.delete(['0002.jpg']);
    await running.submit('second', { incremental: true });
    const { completion, plan } = await running.reached('second', 'complete');
    expect(completion).toMatchObject({ planned: IMAGES, carried: IMAGES - 2, failed: 0 });
    expect(plan.images).toBe(2);
    expect((await verifyJob('second', running.pipeline.works)).problems).toEqual([]);
    const rows = await auditRows(
      running.pipeline.works,
      completion.tables.map(({ key }) => key),
      [],
    );
    const keys = rows.map((row) => row['key']);
    expect(keys).toContain('new.jpg');
    expect(keys).not.toContain('0002.jpg');
    expect(new Set(keys).size).toBe(IMAGES);
    expect(rows.find((row) => row['key'] === '0000.jpg')?.['job']).toBe('second');
    expect(rows.find((row) => row['key'] === '0003.jpg')?.['job']).toBe('first');
    // Its pixels are compared with those of rows that are carried over.
    const copies = rows.filter((row) => row['exact_group'] === '0001.jpg').map((row) => row['key']);
    expect(copies).toEqual(['0000.jpg', '0001.jpg', 'new.jpg']);
  });

  it('decides anew under another policy without decoding anything', async () => {
    const { policy } = await loadManifest('quality');
    const strict: Policy = {
      ...policy,
      rules: [{ check: 'tiny', when: { measure: 'width', below: 1000 }, verdict: 'reject' }],
    };
    const options = { softwareVersion: 'test', tableFileBytes: 2 ** 27 };
    const summary = await replayPolicy('second', strict, options, running.pipeline.works);
    expect(summary).toMatchObject({ planned: IMAGES, carried: IMAGES, checks: { tiny: summary.audited } });
    expect((await verifyJob(summary.job, running.pipeline.works)).problems).toEqual([]);

    // A pipeline's changed policy alone makes an incremental job re-decide and decode nothing.
    await running.submit('third', { incremental: true, policy: strict });
    const { completion, plan } = await running.reached('third', 'complete');
    expect(plan.images).toBe(0);
    expect(completion).toMatchObject({ planned: IMAGES, carried: IMAGES });
    const rows = await auditRows(
      running.pipeline.works,
      completion.tables.map(({ key }) => key),
      [],
    );
    expect(new Set(rows.filter((row) => row['state'] === 'audited').map((row) => row['verdict']))).toEqual(
      new Set(['reject']),
    );
  });

  it('audits everything anew under another model, whatever has not changed', async () => {
    const { works } = running.pipeline;
    const { completion } = await running.reached('third', 'complete');
    const other = { ...completion, modelSha256: 'f'.repeat(64) };
    await works.put(completionKey('third'), Buffer.from(JSON.stringify(other)));
    await running.submit('fourth', { incremental: true });
    expect((await running.reached('fourth', 'complete')).completion).toMatchObject({
      planned: IMAGES,
      carried: 0,
    });
  });

  it('runs from a bucket on one machine just as well', async () => {
    const out = join(folder.path, 'from-bucket');
    const env = running.env;
    const { result } = sluice('run', `s3://${running.images}/00`, '--out', out, '--json', '--quiet');
    const { exitCode, stdout, stderr } = await result;
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(stdout)).toMatchObject({ planned: 99, failed: 0 });
    expect(env).toBeDefined();
  });

  it('says what is wrong with a source that is not there', async () => {
    const source = { kind: 'prefix', bucket: 'nowhere-at-all', prefix: '' } as const;
    await running.submit('broken', { source });
    await expect(running.reached('broken', 'complete')).rejects.toThrow(
      /no bucket for s3:\/\/nowhere-at-all/,
    );
  });
});
