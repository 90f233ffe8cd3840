import { open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '#adapters/make-folder.ts';
import { messageOf, SluiceError } from '#core/error.ts';

/**
 * Holds a job's folder for this process, so that two runs never write the same results. A lock whose process
 * is gone (it was killed) is taken over.
 *
 * @throws SluiceError `job-conflict` while another process holds it, `config-invalid` where it cannot be made.
 */
export async function lockJob(path: string): Promise<AsyncDisposable> {
  await makeFolder(dirname(path)).catch((cause: unknown) => unusable(cause));
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const file = await open(path, 'wx');
      await file.writeFile(String(process.pid));
      await file.close();
      return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') unusable(error);
    }
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    if (isRunning(holder)) {
      throw new SluiceError(
        'job-conflict',
        `process ${holder} is already working on this output folder: wait for it, or use another --out`,
      );
    }
    await rm(path, { force: true });
  }
  throw new SluiceError(
    'job-conflict',
    'the output folder is being locked and unlocked by other processes: try again',
  );
}

function unusable(cause: unknown): never {
  throw new SluiceError(
    'config-invalid',
    `--out: expected a folder that results can be written to (${messageOf(cause)}): use another one, or check its permissions`,
    { cause },
  );
}

function isRunning(pid: number): boolean {
  // Its own number, left by a killed run: in a container every run may be process 1.
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
