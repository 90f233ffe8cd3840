import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { loadManifest } from '#adapters/model-folder.ts';
import { encodePart } from '#adapters/parquet-audit.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import type { Completion } from '#core/completion.ts';
import { completionKey, latestKey } from '#core/job-layout.ts';
import { type JobRequest, type SourceFilter, seriesOf } from '#core/job-request.ts';
import { type Plan, plannedStage } from '#core/plan.ts';
import { planRequest } from '#functions/planning/planner.ts';
import { readShard } from '#functions/planning/read-plan.ts';
import { auditRecord } from '#test/support/audit-record.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const KEYS = [
  ...Array.from({ length: 30 }, (_, i) => `2025/a/${i}.jpg`),
  ...Array.from({ length: 30 }, (_, i) => `2025/b/${i}.PNG`),
  ...Array.from({ length: 30 }, (_, i) => `2026/${i}.jpg`),
  'Z.jpg',
  'a.jpg',
  'é.jpg',
  '😀.jpg',
  '2026/notes.txt',
];

/** A bucket (a folder with S3's order and pages of seven) and a place for the job's work. */
async function setUp() {
  const folder = await temporaryFolder();
  const bucket = new FolderStore(`${folder.path}/bucket`, { pageSize: 7 });
  const works = new FolderStore(`${folder.path}/works`);
  for (const key of KEYS) await bucket.put(key, Buffer.from(key));
  const stage = plannedStage(await loadManifest('quality'));
  const plan = async (change: Partial<JobRequest> = {}, timeLeftMs?: () => number) =>
    planRequest(
      {
        schema: 1,
        job: 'job',
        source: { kind: 'prefix', bucket: 'photos', prefix: '' },
        filter: filter({}),
        incremental: false,
        submittedAt: new Date().toISOString(),
        ...change,
      },
      { stage, shardSize: 8, packSize: 4, ...(timeLeftMs && { timeLeftMs }) },
      { works, openBucket: () => bucket },
    );
  const keysOf = async (plan: Plan): Promise<string[]> => {
    const keys: string[] = [];
    for (const { shard, refs } of plan.shards) {
      const read = await readShard(plan.job, shard, works);
      expect(read.refs).toHaveLength(refs);
      keys.push(...read.refs.map((ref) => ref.key));
    }
    return keys;
  };
  return { ...folder, bucket, works, stage, plan, keysOf };
}

function filter(change: Partial<SourceFilter>): SourceFilter {
  return { include: [], exclude: [], suffixes: [], ...change };
}

const inOrder = (keys: readonly string[]): string[] =>
  [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

describe('an incremental job', () => {
  it.each([
    ['takes over the rows of a job whose scores would come out the same', {}, 1],
    ['takes over none of another model', { modelSha256: 'f'.repeat(64) }, 0],
    ['takes over none of pictures that were made in another way', { preprocessHash: 'another' }, 0],
    ['takes over none of outputs that were read in another way', { decodeHash: 'another' }, 0],
    ['takes over none where an earlier version did not write how they were read', { decodeHash: '' }, 0],
  ])('%s', async (_, change, carried) => {
    await using planner = await setUp();
    const source = { kind: 'prefix', bucket: 'photos', prefix: 'a.jpg' } as const;
    const [listed] = (await planner.bucket.list({ prefix: 'a.jpg' })).objects;
    const table = encodePart([auditRecord({ key: 'a.jpg', etag: listed!.etag })], []);
    await planner.works.put('table', table);
    const request = { source, filter: filter({}) };
    const series = seriesOf(request, planner.stage.model);
    const completion: Completion = {
      schema: 1,
      job: 'base',
      series,
      plannedAt: '2026-11-20T00:00:00.000Z',
      completedAt: '2026-11-20T01:00:00.000Z',
      modelSha256: planner.stage.modelSha256,
      preprocessHash: planner.stage.preprocessHash,
      decodeHash: planner.stage.decodeHash,
      policyHash: 'any',
      scores: [],
      planned: 1,
      carried: 0,
      audited: 1,
      unreadable: 0,
      failed: 0,
      parts: { count: 1, digest: '0'.repeat(64) },
      tables: [{ key: 'table', rows: 1, bytes: table.length, sha256: sha256Hex(table) }],
      ...change,
    };
    const put = (key: string, value: object) => planner.works.put(key, Buffer.from(JSON.stringify(value)));
    await put(completionKey('base'), completion);
    await put(latestKey(series), { job: 'base', plannedAt: completion.plannedAt });
    const plan = (await planner.plan({ ...request, incremental: true }))!;
    expect([plan.carried?.count ?? 0, plan.images]).toEqual([carried, 1 - carried]);
  });
});

describe('planning a job on S3', () => {
  it('finds every object once, in key order, however the listing is split', async () => {
    await using planner = await setUp();
    const plan = (await planner.plan())!;
    expect(await planner.keysOf(plan)).toEqual(inOrder(KEYS));
    expect(plan.images).toBe(KEYS.length);
    expect(plan.shards.every(({ refs }) => refs <= 8)).toBe(true);
  });

  it('plans a prefix, also one that ends within a name', async () => {
    await using planner = await setUp();
    const source = { kind: 'prefix', bucket: 'photos', prefix: '2025/b' } as const;
    const keys = await planner.keysOf((await planner.plan({ source }))!);
    expect(keys).toEqual(inOrder(KEYS.filter((key) => key.startsWith('2025/b'))));
  });

  it('filters by suffix, glob, size and date', async () => {
    await using planner = await setUp();
    const count = async (change: Partial<SourceFilter>): Promise<number> => {
      await planner.works.delete(['jobs/job/plan.json']);
      return (await planner.plan({ filter: filter(change) }))!.images;
    };
    expect(await count({ suffixes: ['.png'] })).toBe(30);
    expect(await count({ include: ['2025/**'], exclude: ['**/1*.jpg'] })).toBe(49);
    expect(await count({ minBytes: 14 })).toBe(KEYS.filter((key) => Buffer.byteLength(key) >= 14).length);
    expect(await count({ modifiedAfter: '2099-01-01T00:00:00Z' })).toBe(KEYS.length);
  });

  it('goes on where it was when time ran short, losing and doubling nothing', async () => {
    await using planner = await setUp();
    let plan: Plan | undefined;
    let invocations = 0;
    while (plan === undefined) {
      let looks = 0;
      // Enough time for some entries of each segment, and then none.
      plan = await planner.plan({}, () => (++looks > 25 ? 0 : 60_000));
      if (++invocations > 100) throw new Error('it makes no progress');
    }
    expect(invocations).toBeGreaterThan(2);
    expect(await planner.keysOf(plan)).toEqual(inOrder(KEYS));
  });

  it('plans what a list of keys names, and reports what is wrong with its lines', async () => {
    await using planner = await setUp();
    await planner.bucket.put('list.txt', Buffer.from('a.jpg\n# a comment\n{"key":"Z.jpg"}\n../out\na.jpg\n'));
    const source = { kind: 'keys', bucket: 'photos', lists: 'lists', manifest: 'list.txt' } as const;
    const plan = (await planner.plan({ source }))!;
    expect(await planner.keysOf(plan)).toEqual(['a.jpg', 'Z.jpg']);
    expect(plan.problems.map(({ line }) => line)).toEqual([4, 5]);
  });

  it('plans what an inventory lists', async () => {
    await using planner = await setUp();
    const csv = KEYS.map((key) => `"photos","${encodeURIComponent(key)}","5"`);
    const files = [csv.slice(0, 40), csv.slice(40)];
    const zipped = files.map((lines) => gzipSync(lines.join('\n')));
    for (const [i, file] of zipped.entries()) await planner.bucket.put(`f${i}`, file);
    const manifest = {
      sourceBucket: 'photos',
      destinationBucket: 'arn:aws:s3:::reports',
      version: '2016-11-30',
      fileFormat: 'CSV',
      fileSchema: 'Bucket, Key, Size',
      files: zipped.map((file, i) => ({
        key: `f${i}`,
        size: file.length,
        MD5checksum: createHash('md5').update(file).digest('hex'),
      })),
    };
    await planner.bucket.put('manifest.json', Buffer.from(JSON.stringify(manifest)));
    const source = {
      kind: 'inventory',
      bucket: 'photos',
      reports: 'reports',
      manifest: 'manifest.json',
    } as const;
    const plan = (await planner.plan({ source }))!;
    expect(await planner.keysOf(plan)).toEqual(KEYS);
  });

  it('gives the same plan when it is asked twice', async () => {
    await using planner = await setUp();
    expect(await planner.plan()).toEqual(await planner.plan());
  });
});
