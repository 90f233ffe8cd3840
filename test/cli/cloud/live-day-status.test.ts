import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { encodePart } from '#adapters/part-file.ts';
import type { Pipeline } from '#adapters/pipeline.ts';
import { liveDayStatus } from '#cli/cloud/live-day-status.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { partKey, workerStatusKey } from '#core/job-layout.ts';
import type { WorkerStatus } from '#core/worker-status.ts';
import { auditRecord } from '#test/support/audit-record.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const DAY = 'live-2026-11-20';

async function start() {
  const folder = await temporaryFolder();
  const works = new FolderStore(folder.path);
  const depth = async () => ({ waiting: 2, leased: 1 });
  const pipeline = { works, queue: async () => ({ depth }) } as unknown as Pipeline;
  const put = (name: string, change: Partial<AuditRecord>) =>
    works.put(partKey({ job: DAY, stage: 'quality', name }), encodePart([auditRecord(change)]));
  return { ...folder, works, pipeline, put };
}

describe('the status of a day of the live lane', () => {
  it('counts what has come, by verdict, before the day has a plan', async () => {
    await using day = await start();
    await day.put('a', {});
    await day.put('b', { verdict: 'reject' });
    await day.put('c', { state: 'unreadable', verdict: 'unreadable', errorCode: 'corrupt' });
    await day.works.put(partKey({ job: 'live-2026-11-21', stage: 'quality', name: 'd' }), Buffer.from(''));
    const status = await liveDayStatus(DAY, day.pipeline);
    expect(status).toMatchObject({
      state: 'open',
      day: '2026-11-20',
      audited: 3,
      failed: 0,
      judged: 3,
      verdicts: { pass: 1, reject: 1, unreadable: 1 },
      queues: { events: { waiting: 2, leased: 1 }, live: { waiting: 2, leased: 1 } },
    });
  });

  it('tells how long images waited at the longest, by the workers that run', async () => {
    await using day = await start();
    const say = (worker: string, change: Partial<WorkerStatus>) => {
      const status: WorkerStatus = {
        schema: 1,
        worker,
        at: new Date().toISOString(),
        model: 'quality',
        provider: 'cpu',
        imagesPerSecond: 1,
        batchFill: 1,
        queueWaitSeconds: 0,
        feed: { run: 1, message: 0, fetch: 0, commit: 0 },
        ...change,
      };
      return day.works.put(workerStatusKey(worker), Buffer.from(JSON.stringify(status)));
    };
    await say('bulk-only', {});
    expect((await liveDayStatus(DAY, day.pipeline)).longestWaitSeconds).toBeUndefined();
    await say('one', { liveWaitSeconds: 1.5 });
    await say('two', { liveWaitSeconds: 4 });
    await say('gone', { liveWaitSeconds: 90, stopped: true });
    expect((await liveDayStatus(DAY, day.pipeline)).longestWaitSeconds).toBe(4);
  });
});
