import { describe, expect, it } from 'vitest';
import type { PipelineStatus } from '#cli/cloud/pipeline-status.ts';
import { statusLines } from '#cli/cloud/status-lines.ts';

const NONE = { waiting: 0, leased: 0 };

function status(change: Partial<PipelineStatus> = {}): PipelineStatus {
  return {
    job: 'job',
    source: 's3://photos/',
    state: 'running',
    at: '2026-11-20T01:00:00.000Z',
    submittedAt: '2026-11-20T00:00:00.000Z',
    planned: 1000,
    carried: 0,
    done: 250,
    failed: 0,
    queues: { shards: NONE, bulk: NONE, live: NONE },
    workers: [],
    bottleneck: 'no worker is running',
    ...change,
  };
}

const shown = (now: PipelineStatus, before?: PipelineStatus): string => statusLines(now, before).join('\n');

describe('what sluice status shows', () => {
  it('is a bar for the images and for each following stage, and how much is listed before there is a plan', () => {
    const faces = { stage: 'faces', planned: 40, done: 10, failed: 2 };
    const lines = statusLines(status({ following: [faces] }));
    expect(lines[2]).toMatch(/^images {6}█{8}░{22} 25 % {2}250 of 1,000$/);
    expect(lines[3]).toMatch(/^faces {7}█{9}░{21} 30 % {2}10 of 40, 2 failed$/);
    expect(shown(status({ state: 'planning', listed: 51_200 }))).toMatch(/being listed, about 51,200 so far/);
  });

  it('tells the pace and what is left by an earlier look', () => {
    const before = status({ at: '2026-11-20T00:58:20.000Z', done: 50 });
    expect(shown(status(), before)).toMatch(/2 images\/s {2}6:15 min left/);
  });

  it('says why a job that is over does not become complete, and why messages died', () => {
    const at = '2026-11-20T01:00:00.000Z';
    const reason = 'not allowed: s3:PutObject on s3://work/results/';
    expect(shown(status({ finalizing: { at, deaths: 0, reason } }))).toContain(
      `completing  failed, and is tried again each minute: ${reason}`,
    );
    expect(shown(status({ finalizing: { at, deaths: 3 } }))).toMatch(/run sluice finalize job/);
    const died = { queue: 'bulk', reason: 'the model is out of order', letters: 4 } as const;
    expect(shown(status({ deadLetters: [died] }))).toContain(
      'died        4 of bulk: the model is out of order',
    );
  });

  it('says that nothing could be read', () => {
    const complete = status({ state: 'complete', done: 1000, unreadable: 1000 });
    expect(shown(complete)).toMatch(/none could be read \(sluice report job says why\)/);
    expect(shown({ ...complete, unreadable: 3 })).toMatch(/3 could not be read/);
  });
});
