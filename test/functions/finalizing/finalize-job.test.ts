import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { encodePart } from '#adapters/part-file.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { partKey, rangeName, shardKey } from '#core/job-layout.ts';
import { Plan } from '#core/plan.ts';
import { Policy } from '#core/policy.ts';
import { Summary } from '#core/summary.ts';
import { FOLDER_LAYOUT } from '#functions/finalizing/audit-outputs.ts';
import { type FinalizeOptions, finalizeJob } from '#functions/finalizing/finalize-job.ts';
import { auditRecord } from '#test/support/audit-record.ts';
import { query } from '#test/support/query.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const policy = Policy.parse({
  rules: [
    { check: 'dark', when: { measure: 'dark', below: 0.3 }, verdict: 'review' },
    { check: 'exact_duplicate', when: { measure: 'exact_duplicate', above: 0.5 }, verdict: 'reject' },
  ],
});
const options: FinalizeOptions = {
  policy,
  softwareVersion: 's',
  formats: [],
  layout: FOLDER_LAYOUT,
  startedAt: new Date(0),
  finishedAt: new Date(2000),
  seconds: 2,
  imagesThisRun: 4,
};

/** A job of these keys in ranges of two, with these parts by range. */
async function job(keys: readonly string[], parts: Record<number, AuditRecord[]>) {
  const folder = await temporaryFolder();
  const store = new FolderStore(folder.path);
  const plan = Plan.parse({
    schema: 1,
    job: 'j',
    source: 'photos',
    createdAt: new Date(0).toISOString(),
    stage: {
      name: 's',
      model: 'm',
      modelSha256: '0',
      preprocess: {
        widthPx: 1,
        heightPx: 1,
        resize: { mode: 'squash' },
        kernel: 'linear',
        color: 'srgb',
        background: [0, 0, 0],
      },
      preprocessHash: 'p',
      scores: ['dark'],
    },
    bucket: null,
    packSize: 2,
    shards: [{ shard: 0, refs: keys.length }],
    images: keys.length,
    bytes: 0,
    carried: null,
    problems: [],
    problemCount: 0,
  });
  const refs = keys.map((key) => ({ key, etag: 'e', bytes: 1 }));
  await store.put(shardKey('j', 0), Buffer.from(JSON.stringify({ schema: 1, job: 'j', shard: 0, refs })));
  for (const [range, records] of Object.entries(parts)) {
    await store.put(
      partKey({ job: 'j', stage: 's', name: rangeName({ shard: 0, range: Number(range) }) }),
      encodePart(records),
    );
  }
  const finalize = async () =>
    (
      await finalizeJob(plan, options, {
        works: store,
        results: store,
        reasonOf: ({ range }) => `range ${range} is lost`,
        thumbnail: async () => undefined,
        pixels: { hashOf: async () => 'f'.repeat(32), isOutOfTime: () => false },
      })
    ).summary;
  return { ...folder, store, finalize, rows: () => query(`SELECT * FROM '${folder.path}/audit.parquet'`) };
}

const lit = (key: string, dark: number, hash = key) =>
  auditRecord({ key, scores: { dark }, contentHash: hash.repeat(16).slice(0, 16) });

describe('finalize', () => {
  it('decides from the scores of the parts, now that the whole job is known', async () => {
    await using done = await job(['a', 'b', 'c', 'd'], {
      0: [lit('a', 0.1), lit('b', 0.9, 'f')],
      1: [lit('c', 0.9), lit('d', 0.9, 'f')],
    });
    const summary = await done.finalize();
    expect(summary).toMatchObject({
      planned: 4,
      audited: 4,
      verdicts: { pass: 2, review: 1, reject: 1 },
      imagesPerSecond: 2,
    });
    expect((await done.rows()).map((row) => [row['key'], row['verdict'], row['duplicate_of']])).toEqual([
      ['a', 'review', null],
      ['b', 'pass', null],
      ['c', 'pass', null],
      ['d', 'reject', 'b'],
    ]);
    expect(Summary.parse(JSON.parse((await done.store.get('summary.json')).body.toString()))).toEqual(
      summary,
    );
  });

  it('gives every image of a lost range a row that says so', async () => {
    await using done = await job(['a', 'b', 'c'], { 0: [lit('a', 0.9), lit('b', 0.9, 'f')] });
    const summary = await done.finalize();
    expect(summary).toMatchObject({ planned: 3, audited: 2, unreadable: 0, failed: 1 });
    expect(summary.failedKeys).toEqual([{ key: 'c', reason: 'range 1 is lost' }]);
    expect((await done.rows())[2]).toMatchObject({
      key: 'c',
      state: 'failed',
      verdict: null,
      error_code: 'dead-letter',
    });
  });

  it.each([
    ['one row short', [lit('a', 0.9)]],
    ['of another image', [lit('a', 0.9), lit('z', 0.9)]],
    ['doubled', [lit('a', 0.9), lit('a', 0.9)]],
  ])('refuses to write results from a part that is %s', async (_, records) => {
    await using done = await job(['a', 'b'], { 0: records });
    await expect(done.finalize()).rejects.toMatchObject({ code: 'accounting-broken' });
    expect(await done.store.head('summary.json')).toBeUndefined();
  });
});
