import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FedJob, feedingWithin, parseUsd } from '#core/budget.ts';

const BUDGET = { usd: 10, firstUsdPerMillion: 1_000_000 };
const shards = (count: number, refs: number) => Array.from({ length: count }, () => ({ refs }));

/** A job whose images cost a dollar each. */
function job(change: Partial<FedJob>): FedJob {
  const base = { shards: shards(20, 1), sent: 0, done: 0, underWay: 0, meteredUsd: 0, perImageUsd: 0 };
  return { ...base, ...change };
}

describe('feeding within a budget', () => {
  it('begins with one shard, and waits for what it costs', () => {
    expect(feedingWithin(BUDGET, job({}))).toEqual({ shards: 1, committedUsd: 1, hold: undefined });
    expect(feedingWithin(BUDGET, job({ sent: 1, underWay: 1 }))).toMatchObject({
      shards: 0,
      hold: undefined,
    });
  });

  it('begins with a twentieth of many shards, within a tenth of the budget', () => {
    const many = { shards: shards(1000, 1) };
    const cheap = { usd: 10, firstUsdPerMillion: 1 };
    expect(feedingWithin(cheap, job(many)).shards).toBe(50);
    expect(feedingWithin({ usd: 100, firstUsdPerMillion: 1_000_000 }, job(many)).shards).toBe(10);
  });

  it('sends what fits beside what is metered and what is under way', () => {
    const fed = feedingWithin(
      BUDGET,
      job({ sent: 5, done: 3, underWay: 2, meteredUsd: 3.5, perImageUsd: 3 }),
    );
    // 3.5 metered + 2 under way + 4 more = 9.5
    expect(fed).toEqual({ shards: 4, committedUsd: 6, hold: undefined });
  });

  it('is held once nothing is under way and nothing more fits, and not before', () => {
    const full = { sent: 9, done: 9, meteredUsd: 9.5, perImageUsd: 9 };
    expect(feedingWithin(BUDGET, job(full))).toMatchObject({ shards: 0, hold: { reason: 'full' } });
    expect(feedingWithin(BUDGET, job({ ...full, done: 8, perImageUsd: 8, underWay: 1 }))).toMatchObject({
      shards: 0,
      hold: undefined,
    });
    expect(feedingWithin(BUDGET, job({ ...full, sent: 20, done: 20 })).hold).toBeUndefined();
  });

  it('says by how much it was overshot, which is within what was in flight', () => {
    // Four images were in flight, and came to two dollars each where the others had cost one.
    const dear = { sent: 9, done: 9, meteredUsd: 13.5, perImageUsd: 13, meteredAtSendingUsd: 5.5 };
    const { hold } = feedingWithin(BUDGET, job(dear));
    expect(hold).toMatchObject({ reason: 'full', overshootUsd: 3.5, inFlightUsd: 8 });
  });

  it('is held from the beginning where the first shard is dearer than the budget, or planning was', () => {
    expect(feedingWithin(BUDGET, job({ shards: shards(2, 11) }))).toMatchObject({
      shards: 0,
      committedUsd: 0,
      hold: { reason: 'first-shard', overshootUsd: 0, usdPerMillion: 1_000_000 },
    });
    expect(feedingWithin(BUDGET, job({ meteredUsd: 12 }))).toMatchObject({
      hold: { reason: 'planning-exceeds', overshootUsd: 2 },
    });
  });

  it('stops where later images are dearer than the first, overshot by no more than what was in flight', () => {
    const budget = { usd: 100, firstUsdPerMillion: 1_000_000 };
    const first = job({ shards: shards(400, 1) });
    const begun = feedingWithin(budget, first).shards;
    const rest = { ...first, sent: begun, done: begun, meteredUsd: begun, perImageUsd: begun };
    const fed = feedingWithin(budget, rest).shards;
    expect([begun, fed]).toEqual([10, 90]);
    // Those came to two dollars each.
    const meteredUsd = begun + 2 * fed;
    const all = { sent: begun + fed, done: begun + fed, meteredUsd, perImageUsd: meteredUsd };
    const { hold } = feedingWithin(budget, { ...first, ...all, meteredAtSendingUsd: begun });
    expect(hold).toMatchObject({ reason: 'full', overshootUsd: 90, inFlightUsd: 180 });
  });

  it('names the smallest budget that lets it go on, and what all of it takes', () => {
    const amount = fc.record({
      refs: fc.array(fc.integer({ min: 1, max: 512 }), { minLength: 1, maxLength: 30 }),
      usd: fc.double({ min: 1e-7, max: 1e4, noNaN: true }),
      perMillion: fc.double({ min: 0.01, max: 1e6, noNaN: true }),
      planUsd: fc.double({ min: 0, max: 100, noNaN: true }),
    });
    fc.assert(
      fc.property(amount, ({ refs, usd, perMillion, planUsd }) => {
        const first = { firstUsdPerMillion: perMillion };
        const held = job({ shards: refs.map((n) => ({ refs: n })), meteredUsd: planUsd, lookUsd: 0.001 });
        const { hold } = feedingWithin({ usd, ...first }, held);
        if (hold === undefined) return;
        // By then both looks are metered.
        const later = { ...held, meteredUsd: planUsd + 0.002 };
        expect(feedingWithin({ usd: hold.sufficientUsd, ...first }, later).shards).toBeGreaterThan(0);
        const smaller = hold.sufficientUsd * 0.998 - 0.0025;
        if (smaller > 0) expect(feedingWithin({ usd: smaller, ...first }, later).shards).toBe(0);
        expect(hold.wholeUsd).toBeGreaterThanOrEqual(hold.sufficientUsd);
      }),
    );
  });
});

describe('a budget', () => {
  it.each([
    ['25usd', 25],
    ['25 USD', 25],
    ['$0.5', 0.5],
    ['12', 12],
  ])('%s is $%d', (text, usd) => expect(parseUsd(text)).toBe(usd));
  it.each(['25eur', '-3usd', '0', ''])('"%s" is refused', (text) => {
    expect(() => parseUsd(text)).toThrow(/expected a budget such as 25usd/);
  });
});
