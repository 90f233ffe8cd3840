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
    expect(feedingWithin(BUDGET, job({}))).toEqual({ shards: 1, committedUsd: 1, isHeld: false });
    expect(feedingWithin(BUDGET, job({ sent: 1, underWay: 1 }))).toMatchObject({ shards: 0, isHeld: false });
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
    expect(fed).toEqual({ shards: 4, committedUsd: 6, isHeld: false });
  });

  it('is held once nothing is under way and nothing more fits, and not before', () => {
    const full = { sent: 9, done: 9, meteredUsd: 9.5, perImageUsd: 9 };
    expect(feedingWithin(BUDGET, job(full))).toMatchObject({ shards: 0, isHeld: true });
    expect(feedingWithin(BUDGET, job({ ...full, done: 8, perImageUsd: 8, underWay: 1 }))).toMatchObject({
      shards: 0,
      isHeld: false,
    });
    expect(feedingWithin(BUDGET, job({ ...full, sent: 20, done: 20 }))).toMatchObject({ isHeld: false });
  });

  it('is held from the beginning where the first shard is dearer than the budget', () => {
    expect(feedingWithin(BUDGET, job({ shards: shards(2, 11) }))).toEqual({
      shards: 0,
      committedUsd: 0,
      isHeld: true,
    });
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
