import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { describeObjectStore } from '#test/contracts/object-store.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

describeObjectStore(
  'FolderStore',
  async () => {
    const folder = await temporaryFolder();
    const store = new FolderStore(folder.path, { pageSize: 3 });
    return { store, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
  },
  3,
);

describe('FolderStore', () => {
  it.each(['../outside', 'a/../../outside', '/etc/passwd', 'nul\0byte'])(
    'has no object at %j',
    async (key) => {
      await using folder = await temporaryFolder();
      await expect(new FolderStore(folder.path).get(key)).rejects.toMatchObject({ code: 'object-missing' });
    },
  );

  it('follows links to files, does not follow links to folders, and lists dangling ones', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, 'sub'));
    await writeFile(join(folder.path, 'sub/file'), 'content');
    await symlink('sub/file', join(folder.path, 'link'));
    await symlink('.', join(folder.path, 'circle'));
    await symlink('gone', join(folder.path, 'dangling'));
    const store = new FolderStore(folder.path);
    expect((await store.list()).objects.map(({ key, bytes }) => [key, bytes])).toEqual([
      ['dangling', 0],
      ['link', 7],
      ['sub/file', 7],
    ]);
    expect((await store.get('link')).body.toString()).toBe('content');
    await expect(store.get('dangling')).rejects.toMatchObject({ code: 'object-missing' });
  });

  it('does not list names that begin with a dot, and leaves no temporary file behind', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, '.DS_Store'), '');
    const store = new FolderStore(folder.path);
    await store.put('a', Buffer.from('1'));
    await store.put('a', Buffer.from('2'), { ifAbsent: true });
    expect((await store.list()).objects.map(({ key }) => key)).toEqual(['a']);
    expect(await readdir(folder.path)).toEqual(['.DS_Store', 'a']);
  });

  it.skipIf(process.platform !== 'linux')(
    'tells of names that are no text, which no key can stand for, and lists the others',
    async () => {
      await using folder = await temporaryFolder();
      for (const byte of [0xfe, 0xff]) {
        const name = Buffer.concat([Buffer.from(`${folder.path}/bad`), Buffer.of(byte), Buffer.from('.jpg')]);
        await writeFile(name, 'x');
      }
      await writeFile(join(folder.path, 'replaced \uFFFD.jpg'), 'x');
      const told = new Set<string>();
      const store = new FolderStore(folder.path, { onUnlisted: (problem) => told.add(problem) });
      expect((await store.list()).objects.map(({ key }) => key)).toEqual(['replaced \uFFFD.jpg']);
      expect([...told]).toEqual([
        expect.stringContaining('"bad\\xfe.jpg" is not UTF-8'),
        expect.stringContaining('"bad\\xff.jpg" is not UTF-8'),
      ]);
      await expect(new FolderStore(folder.path).list()).rejects.toThrow(/not UTF-8/);
    },
  );

  it('names the key, never the path of the folder, in its errors', async () => {
    await using folder = await temporaryFolder();
    const error = await new FolderStore(folder.path).get('none.jpg').catch((e: Error) => e.message);
    expect(error).toContain('none.jpg');
    expect(error).not.toContain(folder.path);
  });
});
