import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runLocalJob } from '#cli/local-job.ts';
import { progressFor } from '#cli/progress.ts';
import { RunConfig } from '#core/config.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

describe('a local job', () => {
  it('that is stopped while it is planned is stopped, and not broken', async () => {
    await using folder = await temporaryFolder();
    const stop = new AbortController();
    const source = {
      location: { kind: 'folder', root: folder.path },
      label: 'photos',
      identity: 'photos',
      async *entries(_filter: unknown, signal: AbortSignal) {
        yield { ref: { key: 'a.jpg', etag: '', bytes: 1 } };
        stop.abort();
        signal.throwIfAborted();
      },
    } as const;
    const request = { source, out: join(folder.path, 'out'), config: RunConfig.parse({}), force: false };
    const result = await runLocalJob(request, progressFor({ quiet: true }), stop.signal);
    expect(result).toEqual({ kind: 'stopped' });
  });
});
