import { expect, it } from 'vitest';
import { PresentJobs } from '#workers/present-jobs.ts';

const MINUTE_MS = 60_000;

it('a job comes up with its first pack, and again after ten minutes without any', () => {
  let nowMs = 0;
  const jobs = new PresentJobs(() => nowMs);
  expect(jobs.comeUp(['a'])).toBe(true);
  nowMs += 9 * MINUTE_MS;
  expect(jobs.comeUp(['a'])).toBe(false);
  nowMs += 9 * MINUTE_MS;
  expect(jobs.comeUp(['a', 'b'])).toBe(false);
  expect(jobs.comeUp(['b'])).toBe(false);
  nowMs += 11 * MINUTE_MS;
  expect(jobs.comeUp(['b'])).toBe(true);
});
