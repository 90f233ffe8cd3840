import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { writePhotos } from '#test/support/photo-folder.ts';
import { query } from '#test/support/query.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const IMAGES = 150;

describe('a backfill over S3 and SQS', () => {
  it('comes to the same rows as the run of a folder', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await writePhotos(photos, IMAGES);
    await using running = await RunningPipeline.start({ config: { shardSize: 40, packSize: 8 } });
    const store = running.pipeline.bucket(running.images);
    const { objects } = await new FolderStore(photos).list();
    for (const { key } of objects) await store.put(key, await readFile(join(photos, key)));
    await store.put('broken.jpg', Buffer.from('not an image'));

    running.startFunctions();
    running.startWorker();
    running.startWorker();
    await running.submit('first');
    const { completion } = await running.reached('first', 'complete');
    expect(completion).toMatchObject({ planned: IMAGES + 1, audited: IMAGES, unreadable: 1, failed: 0 });
    expect((await verifyJob('first', running.pipeline.works)).problems).toEqual([]);
  });
});
