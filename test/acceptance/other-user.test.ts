import { spawnSync } from 'node:child_process';
import { chmod, chown, copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePhotos } from '#test/support/photo-folder.ts';
import { query } from '#test/support/query.ts';
import { sharedFolder } from '#test/support/shared-folder.ts';
import { lastLine, sluiceWith } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

// Root may do everything, so permissions are tried as nobody; whoever else runs the tests is somebody already.
const isRoot = process.getuid?.() === 0;
const user = isRoot ? { uid: 65534, gid: 65534 } : {};
const command = fileURLToPath(new URL('../../cli/sluice.mjs', import.meta.url));
const canRun =
  process.platform !== 'win32' &&
  spawnSync(process.execPath, ['--check', command], { ...user, stdio: 'ignore' }).status === 0;

describe.skipIf(!canRun)('a user who may not read and write everything', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let photos: string;
  beforeAll(async () => {
    folder = await temporaryFolder();
    photos = join(folder.path, 'photos');
    await writePhotos(photos, 3);
    await writePhotos(join(photos, 'locked'), 2);
    await mkdir(join(folder.path, 'unwritable'));
    if (isRoot) await chown(folder.path, 65534, 65534);
    // A real photograph where there is one.
    const real = sharedFolder('corpus', 'good', 'coral_face.jpg');
    if (real !== undefined) await copyFile(real, join(photos, '0001.jpg'));
    await chmod(join(photos, '0001.jpg'), 0);
    await chmod(join(photos, 'locked'), 0);
    await chmod(join(folder.path, 'unwritable'), 0o555);
  });
  afterAll(async () => {
    await chmod(join(photos, 'locked'), 0o755);
    await folder[Symbol.asyncDispose]();
  });

  it('has a row "forbidden" for an unreadable file, and a problem for an unreadable folder', async () => {
    const out = join(folder.path, 'out');
    const result = await sluiceWith(user, 'run', photos, '--out', out, '--json', '--quiet').result;
    expect(lastLine(result)).toMatchObject({ planned: 3, audited: 2, unreadable: 1, sourceProblemCount: 1 });
    expect(result.stderr).toMatch(/skipped: the folder "locked\/" may not be read/);
    const rows = await query(`SELECT key, error_code FROM '${out}/audit.parquet' WHERE state = 'unreadable'`);
    expect(rows).toEqual([{ key: '0001.jpg', error_code: 'forbidden' }]);
    const summary = JSON.parse(await readFile(join(out, 'summary.json'), 'utf8'));
    expect(summary).toMatchObject({ sourceProblemCount: 1 });
  });

  it('is told where --out cannot be written', async () => {
    const out = join(folder.path, 'unwritable', 'out');
    const { exitCode, stderr } = await sluiceWith(user, 'run', photos, '--out', out).result;
    expect([exitCode, stderr]).toEqual([2, expect.stringMatching(/--out: expected a folder.*EACCES/)]);
  });

  it.runIf(isRoot)('runs what root has installed, also where its bundle is for root alone', async () => {
    const { bundledCommand } = (await import(new URL('../../cli/bundle.mjs', import.meta.url).href)) as {
      bundledCommand(): Promise<URL>;
    };
    const bundle = dirname(fileURLToPath(await bundledCommand()));
    expect((await stat(bundle)).mode & 0o777).toBe(0o755);
    await chmod(bundle, 0o700);
    try {
      const { exitCode, stdout } = await sluiceWith(user, '--version').result;
      expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^\d/)]);
    } finally {
      await chmod(bundle, 0o755);
    }
  });
});
