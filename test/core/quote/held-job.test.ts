import { describe, expect, it } from 'vitest';
import type { Completion } from '#core/completion.ts';
import { heldJob } from '#core/quote/held-job.ts';
import { costOf, meteredJob } from '#test/support/metered-jobs.ts';
import { quoteOf } from '#test/support/quotes.ts';

function completion(change: Partial<Completion>): Completion {
  return {
    schema: 1,
    job: 'job',
    series: 'series',
    plannedAt: '2026-11-21T00:00:00.000Z',
    completedAt: '2026-11-21T01:00:00.000Z',
    modelSha256: 'model',
    preprocessHash: 'hash',
    decodeHash: 'decode',
    policyHash: 'policy',
    scores: [],
    planned: 1000,
    carried: 0,
    audited: 1000,
    unreadable: 0,
    failed: 0,
    parts: { count: 16, digest: '0'.repeat(64) },
    tables: [],
    ...change,
  };
}

function heldAgainst(quote: ReturnType<typeof quoteOf>, change: Partial<Completion> = {}, images = 1000) {
  const metered = meteredJob('job', images);
  return heldJob(quote, completion(change), metered, costOf(metered));
}

describe('a quote held against a job', () => {
  it('has an error for each figure that the job was metered by', () => {
    const { figures, remarks } = heldAgainst(quoteOf(1000), { unreadable: 11, audited: 989 });
    expect(remarks).toEqual([]);
    const by = Object.fromEntries(figures.map((figure) => [figure.figure, figure]));
    // The job takes 20 ms of decoding and 50 ms of functions an image, at 3,538 MiB.
    expect(by['decodeSeconds']).toMatchObject({ actual: 20, isInside: true });
    expect(by['decodeSeconds']?.error).toBeCloseTo(0, 9);
    expect(by['functionSeconds']).toMatchObject({ actual: 50, isInside: true });
    expect(by['lambdaGbSeconds']?.actual).toBeCloseTo((50 * 3538) / 1024, 9);
    // An hour, of which a hundred seconds were quoted.
    expect(by['seconds']).toMatchObject({ actual: 3600, isInside: false });
    expect(by['seconds']?.error).toBeCloseTo(100 / 3600 - 1, 9);
    expect(by['usd']?.actual).toBeCloseTo(costOf(meteredJob('job', 1000)).usd, 12);
    expect(by['usd']?.error).toBeCloseTo(0.1 / costOf(meteredJob('job', 1000)).usd - 1, 9);
    expect(by['unreadable']).toMatchObject({ actual: 11, error: -1, isInside: false });
  });

  it('has no error in percent where nothing came of it', () => {
    const { figures } = heldAgainst(quoteOf(1000));
    expect(figures.at(-1)).toMatchObject({ figure: 'unreadable', actual: 0, isInside: true });
    expect(figures.at(-1)?.error).toBeUndefined();
  });

  it('is scaled to the images that the job audited itself, and says so', () => {
    const { figures, remarks } = heldAgainst(quoteOf(4000), { planned: 2000, carried: 1000 });
    expect(figures[0]).toMatchObject({ actual: 20, predicted: { estimate: 20 } });
    expect(figures.at(-1)?.predicted.high).toBeCloseTo(20, 9);
    expect(remarks).toEqual([
      'the quote is of 4,000 images, the job of 2,000: the quote is scaled',
      '1,000 rows were taken over from an earlier job: the quote is scaled to the other 1,000',
    ]);
  });

  it('says where another model or other prices are compared', () => {
    const quote = quoteOf(1000);
    const { metered } = quote.fleet;
    const assumptions = { ...metered!.assumptions, instanceType: 'g5.xlarge', spotHourUsd: 0.4 };
    const other = quoteOf(1000, { metered: { ...metered!, assumptions } });
    expect(heldAgainst({ ...other, preprocessHash: 'other' }).remarks).toEqual([
      'the model of the job has another preprocessing than that of the quote',
      'quoted with instanceType g5.xlarge, reckoned with g4dn.xlarge',
      'quoted with spotHourUsd 0.4, reckoned with the price file',
    ]);
  });

  it('refuses a quote of an earlier version, and a job that audited nothing', () => {
    const { metered: _, ...fleet } = quoteOf(1000).fleet;
    expect(() => heldAgainst({ ...quoteOf(1000), fleet })).toThrow(
      /earlier version\. Quote the source again/,
    );
    expect(() => heldAgainst(quoteOf(1000), { carried: 1000 }, 0)).toThrow(
      /"job": it audited no image itself, its 1000 rows were taken over/,
    );
  });
});
