import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder } from '#adapters/make-folder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

describe('a folder', () => {
  it('is made with those above it, by several at once, and again', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a', 'b', 'c');
    const siblings = Array.from({ length: 50 }, (_, i) => join(path, 'd', `${i}`));
    await Promise.all([makeFolder(path), makeFolder(path), ...siblings.map(makeFolder)]);
    await makeFolder(path);
    expect((await stat(join(path, 'd'))).isDirectory()).toBe(true);
  });

  it('is not made below a file', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'file'), '');
    await expect(makeFolder(join(folder.path, 'file', 'a', 'b'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(makeFolder(join(folder.path, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
  });

  it.skipIf(process.platform !== 'linux')(
    'is given up where the system says that its parent is not there, although it is',
    async () => {
      await expect(makeFolder('/proc/sluice/none')).rejects.toMatchObject({ code: 'ENOENT' });
    },
  );
});
