import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { loadManifest } from '#adapters/model-folder.ts';
import type { Completion } from '#core/completion.ts';
import { SluiceError } from '#core/error.ts';
import { completionKey, latestKey } from '#core/job-layout.ts';
import { type JobRequest, type SourceFilter, seriesOf } from '#core/job-request.ts';
import { type Plan, plannedStage } from '#core/plan.ts';
import { planRequest } from '#functions/planning/planner.ts';
import { readShard } from '#functions/planning/read-plan.ts';
import { auditRecord } from '#test/support/audit-record.ts';
import { csvFile, MANIFEST_KEY, writeReport } from '#test/support/inventory-report.ts';
import { keyListing } from '#test/support/key-listing.ts';
import { putAuditTable } from '#test/support/put-audit-table.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

/** As if a pipeline had its quarantine in the bucket of its images. */
const ownPlaces = [{ bucket: 'photos', prefix: 'quarantined/' }];
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
      { stage, shardSize: 8, packSize: 4, ownPlaces, ...(timeLeftMs && { timeLeftMs }) },
      { works, openBucket: () => bucket },
    );
  const keysOf = async (plan: Plan): Promise<string[]> => {
    const keys: string[] = [];
    for (const { shard, refs } of plan.shards) {
      const read = await readShard(plan, shard, works);
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
    const { modelSha256, preprocessHash, decodeHash } = planner.stage;
    const receipt = { ...auditRecord().receipt, modelSha256, preprocessHash, decodeHash };
    const record = auditRecord({ key: 'a.jpg', etag: listed!.etag, receipt });
    const table = await putAuditTable(planner.works, 'table', [record]);
    const request = { source, filter: filter({}) };
    const series = seriesOf(request, planner.stage.model);
    const completion: Completion = {
      schema: 1,
      job: 'base',
      series,
      plannedAt: '2026-11-20T00:00:00.000Z',
      completedAt: '2026-11-20T01:00:00.000Z',
      modelSha256,
      preprocessHash,
      decodeHash,
      policyHash: 'any',
      scores: [],
      planned: 1,
      carried: 0,
      audited: 1,
      unreadable: 0,
      failed: 0,
      parts: { count: 1, digest: '0'.repeat(64) },
      tables: [table],
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

  it('lists keys of a common stem by many listings at the same time, each key once and in order', async () => {
    await using planner = await setUp();
    const stage = plannedStage(await loadManifest('quality'));
    const keys = Array.from({ length: 2000 }, (_, i) => `IMG_${String(i * 7).padStart(5, '0')}.jpg`);
    const bucket = keyListing(keys, 20);
    const plan = await planRequest(
      {
        schema: 1,
        job: 'job',
        source: { kind: 'prefix', bucket: 'photos', prefix: '' },
        filter: filter({}),
        incremental: false,
        submittedAt: new Date().toISOString(),
      },
      { stage, shardSize: 100, packSize: 4, shareAfterObjects: 50 },
      { works: planner.works, openBucket: () => bucket as unknown as FolderStore },
    );
    expect(await planner.keysOf(plan!)).toEqual(keys);
    expect(bucket.mostAtOnce()).toBeGreaterThan(4);
  });

  it('leaves out what the pipeline writes itself, unless that is the source', async () => {
    await using planner = await setUp();
    await planner.bucket.put('quarantined/photos/a.jpg', Buffer.from('a copy'));
    expect(await planner.keysOf((await planner.plan())!)).toEqual(inOrder(KEYS));
    await planner.works.delete(['jobs/job/plan.json']);
    const source = { kind: 'prefix', bucket: 'photos', prefix: 'quarantined/' } as const;
    expect((await planner.plan({ source }))!.images).toBe(1);
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

  it('keeps no image out by a size that a list or an inventory does not tell', async () => {
    await using planner = await setUp();
    await planner.bucket.put('list.txt', Buffer.from('a.jpg\nZ.jpg\n2026/notes.txt\n'));
    const list = { kind: 'keys', bucket: 'photos', lists: 'lists', manifest: 'list.txt' } as const;
    const sized = filter({ minBytes: 1, maxBytes: 2, suffixes: ['.jpg'] });
    const plan = (await planner.plan({ source: list, filter: sized }))!;
    expect(await planner.keysOf(plan)).toEqual(['a.jpg', 'Z.jpg']);

    await planner.works.delete(['jobs/job/plan.json']);
    const files = [csvFile([['photos', 'a.jpg']])];
    await writeReport(planner.bucket, { fileFormat: 'CSV', fileSchema: 'Bucket, Key', files });
    const report = {
      kind: 'inventory',
      bucket: 'photos',
      reports: 'reports',
      manifest: MANIFEST_KEY,
    } as const;
    expect((await planner.plan({ source: report, filter: sized }))!.images).toBe(1);
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
    let manifestReads = 0;
    const get = planner.bucket.get.bind(planner.bucket);
    planner.bucket.get = (key, options) => {
      if (key === 'manifest.json') manifestReads++;
      return get(key, options);
    };
    const source = {
      kind: 'inventory',
      bucket: 'photos',
      reports: 'reports',
      manifest: 'manifest.json',
    } as const;
    const plan = (await planner.plan({ source }))!;
    expect(await planner.keysOf(plan)).toEqual(KEYS);
    // To split the source, and once for all of its files.
    expect(manifestReads).toBe(2);
  });

  it('plans what the last report of an inventory lists, where only its folder is named', async () => {
    await using planner = await setUp();
    const folder = `inventory/photos/daily/`;
    const day = new Date().toISOString().slice(0, 10);
    const files = [csvFile([['photos', 'a.jpg']])];
    await writeReport(planner.bucket, { fileFormat: 'CSV', fileSchema: 'Bucket, Key', files });
    const report = `${folder}${day}T01-00Z/`;
    await planner.bucket.put(`${report}manifest.json`, (await planner.bucket.get(MANIFEST_KEY)).body);
    await planner.bucket.put(`${report}manifest.checksum`, Buffer.from('md5'));
    const source = { kind: 'inventory', bucket: 'photos', reports: 'reports', manifest: folder } as const;
    const plan = (await planner.plan({ source }))!;
    expect(await planner.keysOf(plan)).toEqual(['a.jpg']);
    expect(plan.source).toContain(`${report}manifest.json`);
  });

  it('fails by the first of many listings that fail', async () => {
    await using planner = await setUp();
    let lists = 0;
    const list = planner.bucket.list.bind(planner.bucket);
    planner.bucket.list = (options) =>
      // The first ten pages tell that the source is to be split.
      ++lists <= 10 ? list(options) : Promise.reject(new SluiceError('store-unavailable', 'down'));
    await expect(planner.plan()).rejects.toMatchObject({ code: 'store-unavailable' });
    expect(lists).toBeGreaterThan(12);
  });

  it('gives the same plan when it is asked twice', async () => {
    await using planner = await setUp();
    expect(await planner.plan()).toEqual(await planner.plan());
  });

  it('comes to one plan when several invocations make it at the same time, each with its own look at the source', async () => {
    await using planner = await setUp();
    const inSlices = async (looksEach: number): Promise<Plan> => {
      for (let invocation = 0; invocation < 100; invocation++) {
        let looks = 0;
        const plan = await planner.plan({}, () => (++looks > looksEach ? 0 : 60_000));
        // What comes meanwhile is seen by some of them.
        await planner.bucket.put(`2025/a/new-${looksEach}-${invocation}.jpg`, Buffer.from('new'));
        if (plan !== undefined) return plan;
      }
      throw new Error('it makes no progress');
    };
    const [plan, ...others] = await Promise.all([inSlices(25), inSlices(60), inSlices(1000)]);
    for (const other of others) expect(other).toEqual(plan);
    // The shards are those that the plan speaks of, whoever else has written some.
    const keys = await planner.keysOf(plan!);
    expect(keys).toHaveLength(plan!.images);
    expect(keys).toEqual(inOrder(keys));
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).toEqual(expect.arrayContaining(KEYS));
  });
});
