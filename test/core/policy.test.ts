import { describe, expect, it } from 'vitest';
import { decide, measuresOf, Policy } from '#core/policy.ts';

const policy = Policy.parse({
  rules: [
    { check: 'dark', when: { measure: 'dark', below: 0.3 }, verdict: 'review' },
    {
      check: 'banned',
      when: {
        all: [
          { measure: 'nsfw', above: 0.9 },
          { measure: 'width', above: 100 },
        ],
      },
      verdict: 'reject',
    },
    {
      check: 'gray',
      when: {
        any: [
          { measure: 'chroma', below: 4 },
          { measure: 'spread', below: 1 },
        ],
      },
      verdict: 'pass',
    },
  ],
});

describe('a policy', () => {
  it('passes an image that no rule flags', () => {
    expect(decide(policy, { dark: 0.5, nsfw: 0.1, width: 500, chroma: 40, spread: 9 })).toEqual({
      checks: [],
      verdict: 'pass',
    });
  });

  it('takes the gravest verdict of all rules that flag', () => {
    expect(decide(policy, { dark: 0.1, nsfw: 0.95, width: 500, chroma: 1 })).toEqual({
      checks: ['dark', 'banned', 'gray'],
      verdict: 'reject',
    });
  });

  it('needs all parts of "all" and one part of "any"', () => {
    expect(decide(policy, { nsfw: 0.95, width: 50, spread: 0 }).checks).toEqual(['gray']);
  });

  it('flags strictly beyond a threshold, not at it', () => {
    expect(decide(policy, { dark: 0.3 }).checks).toEqual([]);
  });

  it('does not flag on a measure that is unknown or not a number', () => {
    expect(decide(policy, { dark: Number.NaN }).checks).toEqual([]);
    expect(decide(policy, {}).checks).toEqual([]);
  });

  it('names the measures it speaks about', () => {
    expect(measuresOf(policy)).toEqual(['dark', 'nsfw', 'width', 'chroma', 'spread']);
  });

  it('refuses a comparison without a threshold', () => {
    const rule = { check: 'x', when: { measure: 'dark' }, verdict: 'review' };
    expect(Policy.safeParse({ rules: [rule] }).success).toBe(false);
  });
});
