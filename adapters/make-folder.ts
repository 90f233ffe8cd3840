import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it, one by one. Node's own `recursive` never comes back where a parent says ENOENT although it is
 * there, as `/proc` does, and keeps a thread and a core for ever.
 *
 * @throws what the system says: EACCES, ENOTDIR, EROFS, ENOENT.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (await isFolder(path)) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path) throw error;
    // It may be there by now: somebody else makes a folder beside this one. Where it always was, the second try says the same.
    if (!(await isFolder(parent))) await makeFolder(parent);
    await mkdir(path).catch(async (again: unknown) => {
      // Another process may have been faster.
      if (!(await isFolder(path))) throw again;
    });
  }
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}
