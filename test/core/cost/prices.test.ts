import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { bill, sqsRequestsOf, tieredUsd, totalUsd, type Usage } from '#core/cost/bill.ts';
import { DEPLOYED_TERMS } from '#core/cost/deployed-terms.ts';
import { instanceHour, missingSpotPrice, parsePrices, pricesAsOf, staleness } from '#core/cost/prices.ts';

const file = 'infra/prices/us-east-1.json';
const text = await readFile(file, 'utf8');
const json = JSON.parse(text);
const prices = parsePrices(json, { region: 'us-east-1', file });
const NOTHING: Usage = {
  lambdaSeconds: 0,
  lambdaGbSeconds: 0,
  lambdaInvocations: 0,
  sqsRequests: 0,
  s3Puts: 0,
  s3Gets: 0,
  s3Lists: 0,
  s3ByteSeconds: 0,
  workerSeconds: 0,
  logBytes: 0,
  seconds: 0,
};
const TERMS = {
  instanceType: 'g4dn.xlarge',
  market: 'spot',
  architecture: 'arm64',
  volumeGb: 0,
  publicIpv4: false,
  deployed: {
    alarmMetrics: 0,
    workerMetrics: 0,
    dashboards: 0,
    emptyPollsPerHour: 0,
    finalizationsPerHour: 0,
  },
  finalizeMemoryMib: 5307,
} as const;

describe('prices', () => {
  it('refuses those of another region, and says which came', () => {
    expect(() => parsePrices(json, { region: 'eu-west-1', file })).toThrow(
      /expected prices of eu-west-1 .* found those of us-east-1/,
    );
  });

  it('lists figures that are missing or in another unit', () => {
    const broken = structuredClone(json);
    broken.lambda.x86.per = 'hour';
    delete broken.sqs.standard;
    expect(() => parsePrices(broken, { region: 'us-east-1', file })).toThrow(/sqs\.standard/);
    expect(() => parsePrices(broken, { region: 'us-east-1', file })).toThrow(/lambda\.x86\.per/);
  });

  it('names the instance types there are, and how to add one', () => {
    expect(() => instanceHour(prices, 'p5.48xlarge', 'spot')).toThrow(
      /no price for "p5.48xlarge".*g4dn\.xlarge.*refresh --region us-east-1 --instance p5\.48xlarge/,
    );
  });

  it('takes the price on demand where there is none on Spot, and says so', () => {
    expect(instanceHour(prices, 'g5.xlarge', 'spot')).toMatchObject({
      price: { usd: 1.006 },
      market: 'on-demand',
    });
    expect(missingSpotPrice(prices, 'g5.xlarge', 'spot', undefined)).toMatch(
      /no spot price of g5.xlarge in us-east-1 is known: .*at the price on demand.*--spot-price/,
    );
    expect(missingSpotPrice(prices, 'g5.xlarge', 'spot', 0.42)).toBeUndefined();
    expect(missingSpotPrice(prices, 'g5.xlarge', 'on-demand', undefined)).toBeUndefined();
    expect(missingSpotPrice(prices, 'g4dn.xlarge', 'spot', undefined)).toBeUndefined();
    const [item] = bill({ ...NOTHING, workerSeconds: 3600 }, { ...TERMS, instanceType: 'g6.xlarge' }, prices);
    expect(item).toMatchObject({ usd: 0.8048, detail: expect.stringMatching(/g6.xlarge \(on-demand\)/) });
  });

  it('refuses those of days to come, by name', () => {
    const future = structuredClone(json);
    future.s3.put.asOf = '2031-01-02';
    future.ebs.gp3.asOf = '2031';
    const expected = { region: 'us-east-1', file, now: new Date('2026-11-27') };
    expect(() => parsePrices(future, expected)).toThrow(
      /prices of days to come: s3.put \(2031-01-02\), ebs.gp3 \(2031\)/,
    );
    expect(parsePrices(json, expected).region).toBe('us-east-1');
  });

  it('are doubted aloud a year later, not before; a year alone counts from its first day', () => {
    const dated = parsePrices(JSON.parse(text.replaceAll('"asOf": "2026"', '"asOf": "2026-11-21"')), {
      region: 'us-east-1',
      file,
    });
    expect(staleness(dated, new Date('2027-11-20'))).toBeUndefined();
    expect(staleness(dated, new Date('2027-11-23'))).toMatch(
      /older than a year, the oldest of 2026-11-21 \(lambda\.x86, .*sluice prices refresh --region us-east-1/,
    );
    expect(staleness(prices, new Date('2026-12-31'))).toBeUndefined();
    expect(staleness(prices, new Date('2027-01-03'))).toMatch(/the oldest of 2026 \(/);
  });

  it('say for when they are true, as exactly as is known', () => {
    expect(pricesAsOf(prices)).toBe('2026');
    const refreshed = structuredClone(json);
    refreshed.lambda.x86.asOf = '2027-02-03';
    refreshed.sqs.standard.asOf = '2026-06';
    const asOf = pricesAsOf(parsePrices(refreshed, { region: 'us-east-1', file }));
    expect(asOf).toBe('2026 to 2027-02-03');
    refreshed.sqs.standard.asOf = '2026-13';
    expect(() => parsePrices(refreshed, { region: 'us-east-1', file })).toThrow(/sqs\.standard\.asOf/);
  });
});

describe('a bill', () => {
  it('has what a pipeline without images costs in a month, as docs/deploy.md has it', () => {
    const month = { ...NOTHING, seconds: 730 * 3600 };
    const items = bill(month, { ...TERMS, deployed: DEPLOYED_TERMS }, prices);
    const usd = Object.fromEntries(items.map((item) => [item.item, Number(item.usd.toFixed(2))]));
    // Alarms and dashboard, and the workers' metrics for a whole month; 1.97 million polls; 43,800 looks of 0.1 s at 5.3 GB.
    expect(usd).toEqual({
      'metrics and alarms': 7.5 + 3 + 16 * 0.3,
      'empty receives': 0.79,
      'finalize, looking': 0.49,
    });
  });

  it('has an item for each thing used, the dearest first', () => {
    const items = bill(
      { ...NOTHING, lambdaGbSeconds: 1e6, s3Puts: 1e6, workerSeconds: 36_000, sqsRequests: 1e6 },
      TERMS,
      prices,
    );
    expect(items.map(({ item, usd }) => [item, Number(usd.toFixed(4))])).toEqual([
      ['Lambda compute', 13.3334],
      ['S3 writes', 5],
      ['GPU workers', 1.9],
      ['SQS', 0.4],
    ]);
    expect(totalUsd(items)).toBeCloseTo(20.6334);
  });

  it('takes a spot price that was given instead of the file', () => {
    const [item] = bill({ ...NOTHING, workerSeconds: 3600 }, { ...TERMS, spotHourUsd: 0.3 }, prices);
    expect(item?.usd).toBe(0.3);
  });

  it('counts every begun 64 KiB of a message', () => {
    expect([1, 65_536, 65_537, 480 * 1024].map(sqsRequestsOf)).toEqual([1, 1, 2, 8]);
  });

  it('goes through the tiers of Rekognition', () => {
    const tiers = prices.alternatives.rekognitionModeration!;
    expect(tieredUsd(tiers, 1e6)).toBe(1000);
    // 1 million at $1.00, 4 at $0.80, 5 at $0.60 a thousand.
    expect(tieredUsd(tiers, 1e7)).toBeCloseTo(1000 + 3200 + 3000);
  });
});
