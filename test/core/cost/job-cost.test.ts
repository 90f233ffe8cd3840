import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseAssumptions } from '#core/cost/assumptions.ts';
import { jobCost, type MeteredJob } from '#core/cost/job-cost.ts';
import { parsePrices } from '#core/cost/prices.ts';
import { noUsage, type UsageRecord, UsageSum } from '#core/usage.ts';

const file = 'infra/prices/us-east-1.json';
const json = JSON.parse(await readFile(file, 'utf8'));
const prices = parsePrices(json, { region: 'us-east-1', file });
const assumptions = parseAssumptions({ volumeGb: 0, publicIpv4: false }, 'the test');
const HOUR_MS = 3_600_000;

function record(change: Partial<UsageRecord> & { id: string }): UsageRecord {
  return { stage: 'preprocess', waste: false, usage: noUsage(), ...change };
}

function requests(kind: string, count: number, retries: number, units: number): UsageRecord['usage'] {
  return { ...noUsage(), requests: { [kind]: { count, retries, units } } };
}

function jobOf(records: readonly UsageRecord[], images = 1_000_000): MeteredJob {
  const sum = new UsageSum('job');
  sum.addPart(records);
  return { job: 'job', isComplete: true, images, usage: sum.finish(), notes: [] };
}

describe('the records of a job', () => {
  it('count once each, and as waste only where every copy is waste', () => {
    const sum = new UsageSum('job');
    const once = requests('s3:GetObject', 5, 0, 5);
    sum.add([record({ id: 'a', waste: true, usage: once }), record({ id: 'b', waste: true, usage: once })]);
    sum.add([record({ id: 'a', usage: once }), record({ id: 'a', usage: once })]);
    sum.add([record({ id: 'b', waste: true, usage: once })]);
    expect(sum.finish().stages).toMatchObject([
      { waste: false, usage: { requests: { 's3:GetObject': { count: 5 } } } },
      { waste: true, usage: { requests: { 's3:GetObject': { count: 5 } } } },
    ]);
  });

  it('do not change when they are added up', () => {
    const one = record({ id: 'a', usage: requests('s3:GetObject', 1, 0, 1) });
    const sum = new UsageSum('job');
    sum.add([one, record({ id: 'b', usage: requests('s3:GetObject', 1, 0, 1) })]);
    sum.finish();
    expect(one.usage.requests).toEqual({ 's3:GetObject': { count: 1, retries: 0, units: 1 } });
  });
});

describe('the cost of a job', () => {
  it('is that of its function time at the memory that was metered, or else assumed', () => {
    const usage = { ...noUsage(), ms: { function: 1_000_000 } };
    const { usd } = jobCost([jobOf([record({ id: 'a', memoryMb: 1024, usage })])], assumptions, prices);
    expect(usd).toBeCloseTo(1000 * 0.0000133334, 10);
    const assumed = jobCost([jobOf([record({ id: 'a', usage })])], assumptions, prices);
    expect(assumed.usd).toBeCloseTo(1000 * (3538 / 1024) * 0.0000133334, 10);
  });

  it('splits a worker into work, empty room in batches, and waiting', () => {
    const usage = {
      ...noUsage(),
      ms: { run: 2 * HOUR_MS, commit: HOUR_MS / 2, message: HOUR_MS / 2 },
      counts: { images: 75, slots: 100 },
    };
    const cost = jobCost([jobOf([record({ id: 'a', stage: 'worker', usage })])], assumptions, prices);
    expect(cost.usd).toBeCloseTo(3 * 0.19, 10);
    expect(cost.waste).toEqual([
      { waste: 'repeated work', usd: 0 },
      { waste: 'retries', usd: 0 },
      { waste: 'idle GPU', usd: expect.closeTo(0.19, 10) },
      { waste: 'unfilled batches', usd: expect.closeTo(0.095, 10) },
    ]);
    expect(cost.batchFill).toBe(0.75);
  });

  it('calls a billed try a retry where its call needed another one, and a failed one of S3 nothing', () => {
    // 10 calls, 4 of their tries failed: one with a 5xx that S3 does not bill, three that it does.
    const usage = requests('s3:PutObject', 14, 4, 13);
    const cost = jobCost([jobOf([record({ id: 'a', usage })])], assumptions, prices);
    expect(cost.usd).toBeCloseTo(13 * 0.000005, 12);
    expect(cost.waste.find(({ waste }) => waste === 'retries')?.usd).toBeCloseTo(3 * 0.000005, 12);
  });

  it('adds up the same by item, by stage, by resource, and over its jobs', () => {
    const jobs = [
      jobOf([
        record({ id: 'a', usage: { ...requests('s3:GetObject', 9, 1, 9), ms: { function: 12345 } } }),
        record({ id: 'b', stage: 'worker', waste: true, usage: { ...noUsage(), ms: { run: 99_999 } } }),
      ]),
      jobOf([record({ id: 'c', stage: 'plan', usage: requests('sqs:SendMessageBatch', 3, 1, 12) })]),
    ];
    const all = jobCost(jobs, assumptions, prices);
    const sum = (rows: readonly { usd: number }[]): number => rows.reduce((total, { usd }) => total + usd, 0);
    for (const rows of [all.items, all.byStage, all.byResource]) expect(sum(rows)).toBeCloseTo(all.usd, 12);
    expect(sum(jobs.map((job) => jobCost([job], assumptions, prices)))).toBeCloseTo(all.usd, 12);
    expect(all.images).toBe(2_000_000);
  });

  it('stands beside what others ask, and says where it cannot', () => {
    const usage = { ...noUsage(), ms: { cpu: 20_000_000 }, counts: { packs: 1, images: 1_000_000 } };
    const model = {
      ...noUsage(),
      ms: { run: 1_000_000 },
      counts: { images: 1_000_000, slots: 1_000_000 },
    };
    const job = jobOf([record({ id: 'a', usage }), record({ id: 'b', stage: 'worker', usage: model })]);
    const usdOf = (cost: ReturnType<typeof jobCost>) => cost.alternatives.map(({ usd }) => usd);
    // 1 M images at $1 a thousand; 20 ms of decoding, 1 ms of the model and 20 ms of a request, one after the other; 20 ms of
    // decoding on 4 vCPUs against 1 ms of the model, after a boot of five minutes, with a GET an image.
    expect(usdOf(jobCost([job], assumptions, prices))).toEqual([
      expect.closeTo(1000),
      expect.closeTo((41_000 / 3600) * 0.736),
      expect.closeTo((5300 / 3600) * 0.19 + 0.4),
    ]);
    const bare = { ...prices, alternatives: { sageMaker: {} } };
    const without = jobCost([job], assumptions, bare).alternatives;
    expect(without[0]).toMatchObject({
      usd: undefined,
      how: 'the price file of us-east-1 has no price for it',
    });
    expect(without[1]?.how).toBe('the price file of us-east-1 has no price for ml.g4dn.xlarge');
    expect(usdOf(jobCost([jobOf([], 0)], assumptions, prices))).toEqual([undefined, undefined, undefined]);
  });

  it('follows the tiers of a price through the month', () => {
    const late = { ...assumptions, rekognitionImagesBefore: 900_000 };
    const [rekognition] = jobCost([jobOf([], 200_000)], late, prices).alternatives;
    expect(rekognition?.usd).toBeCloseTo(100 * 1.0 + 100 * 0.8);
  });

  it('names what has no price, and what is missing', () => {
    const job = jobOf([record({ id: 'a', usage: requests('s3:SelectObjectContent', 2, 0, 2) })]);
    expect(jobCost([job], assumptions, prices).notes.join('\n')).toMatch(
      /no price for s3:SelectObjectContent: 2/,
    );
    const work = jobOf([record({ id: 'a', stage: 'worker', usage: { ...noUsage(), ms: { run: 5 } } })]);
    const unknown = { ...assumptions, instanceType: 'p9.large' };
    expect(() => jobCost([work], unknown, prices)).toThrow(/no price for "p9.large" in us-east-1/);
  });
});

describe('assumptions', () => {
  it('are refused by name', () => {
    expect(() => parseAssumptions({ instance: 'g5.xlarge' }, '"a.json"')).toThrow(
      /the assumptions from "a\.json".*instance.*there are region, instanceType/s,
    );
  });
});
