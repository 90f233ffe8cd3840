import { describe, expect, it } from 'vitest';
import { Environment } from '#infra/environment.ts';

const backfill = { name: 'nightly', schedule: 'cron(0 1 * * ? *)' };

/** What is said of an environment with these members. */
function problems(members: object): string[] {
  const parsed = Environment.safeParse({ name: 'Sluice', sources: [{ bucket: 'photos' }], ...members });
  return (parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

function withBackfill(members: object): object {
  return { sources: [{ bucket: 'photos', backfills: [{ ...backfill, ...members }] }] };
}

describe('an environment', () => {
  it('is refused with a time zone that there is not', () => {
    expect(problems(withBackfill({ timeZone: 'Europe/Berlln' }))).toEqual([
      'sources.0.backfills.0.timeZone: expected a time zone such as "Europe/Berlin"',
    ]);
    expect(problems(withBackfill({ timeZone: 'Europe/Berlin' }))).toEqual([]);
  });

  it('is refused with two backfills of one name, in whatever buckets, since their jobs would have one name', () => {
    const sources = ['photos', 'others'].map((bucket) => ({ bucket, backfills: [backfill] }));
    expect(problems({ sources })).toEqual([
      'sources.1.backfills.0.name: there are two backfills "nightly": jobs are named after them, and one would never begin',
    ]);
  });

  it('is refused with a budget and no region to reckon by', () => {
    expect(problems(withBackfill({ budgetUsd: 20 }))).toEqual([
      'sources.0.backfills.0.budgetUsd: expected "region" beside it: a budget is reckoned by the prices of a region',
    ]);
    expect(problems({ region: 'us-east-1', ...withBackfill({ budgetUsd: 20 }) })).toEqual([]);
  });

  it('is refused with more workers at the least than at the most', () => {
    const image = { dockerfile: 'workers/Dockerfile' };
    expect(problems({ fleet: { image, minWorkers: 5 } })).toEqual([
      'fleet.minWorkers: expected at most maxWorkers',
    ]);
    expect(problems({ fleet: { image, minWorkers: 5, maxWorkers: 5 } })).toEqual([]);
  });

  it('is refused with an image that private subnets do not lead to', () => {
    const fleet = { image: { uri: 'docker.io/team/workers:7' } };
    expect(problems({ fleet: { ...fleet, subnets: 'private' } })).toEqual([
      'fleet.image.uri: expected an image in ECR: private subnets lead to no other registry',
    ]);
    expect(problems({ fleet })).toEqual([]);
  });
});
