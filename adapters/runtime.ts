import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';

// From a source checkout the files of this project are TypeScript, which Node 20 does not read by itself: child
// processes and threads need tsx as well. From a bundle they are JavaScript and need nothing.
const IS_SOURCE = import.meta.url.endsWith('.ts');

/** The folder that holds `package.json` and `models/`, of the sources as of a bundle: the next one above. */
export const PROJECT_FOLDER: URL = above(new URL('./', import.meta.url));

function above(folder: URL): URL {
  const parent = new URL('../', folder);
  const isFound = existsSync(new URL('package.json', folder)) || parent.href === folder.href;
  return isFound ? folder : above(parent);
}

/** Node arguments under which a child process can run this project's files. */
export const NODE_ARGUMENTS: readonly string[] = IS_SOURCE ? ['--import', import.meta.resolve('tsx')] : [];

/**
 * One of this project's files that runs in a process or thread of its own.
 *
 * @param source its path, relative to `base`.
 * @param base the `import.meta.url` of the file that names it.
 */
export function entryFile(source: string, base: string): URL {
  // In a bundle all entries lie side by side, under their names.
  return new URL(IS_SOURCE ? source : `./${basename(source, '.ts')}.mjs`, base);
}

/** A worker thread that runs one of this project's files. */
export function startThread(entry: URL, options: WorkerOptions): Worker {
  if (!IS_SOURCE) return new Worker(entry, options);
  // With `--import tsx` in execArgv, tsx leaves a thread to its parent's hooks, and there may be none.
  const start = `import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))})
    .then((tsx) => { tsx.register(); return import(${JSON.stringify(entry.href)}); })
    .catch((error) => { setImmediate(() => { throw error; }); });`;
  return new Worker(start, { ...options, eval: true, execArgv: [] });
}
