import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LAYER_PACKAGES } from './bundle-functions.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Installs what the functions do not bundle, for linux on arm64, as a Lambda layer wants it. Binaries come from the
 * registry as packages: nothing is compiled, and the machine may be any.
 *
 * @returns the layer's folder.
 */
export async function buildLayer(outFolder: string): Promise<string> {
  const { dependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const wanted = LAYER_PACKAGES.map((name) => [name, dependencies[name] as string] as const);
  const nodejs = join(outFolder, 'nodejs');
  await rm(outFolder, { recursive: true, force: true });
  await mkdir(nodejs, { recursive: true });
  await writeFile(
    join(nodejs, 'package.json'),
    JSON.stringify({ private: true, dependencies: Object.fromEntries(wanted) }),
  );
  execFileSync(
    'npm',
    [
      'install',
      '--os=linux',
      '--cpu=arm64',
      '--libc=glibc',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--no-package-lock',
    ],
    { cwd: nodejs, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  return outFolder;
}
