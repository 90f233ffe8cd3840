import { cp, mkdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { LAYER_PACKAGES } from '#infra/packages/bundle-functions.ts';

const require = createRequire(import.meta.url);

/** Lays out the functions' layer as `npm run package` does, but for this machine's processor and from what is installed. */
export async function writeLayer(folder: string): Promise<void> {
  for (const name of await withDependencies(LAYER_PACKAGES)) {
    const target = join(folder, 'nodejs/node_modules', name);
    await mkdir(dirname(target), { recursive: true });
    await cp(folderOf(name), target, { recursive: true });
  }
}

/** The folder of an installed package. */
function folderOf(name: string): string {
  return join(process.cwd(), 'node_modules', name);
}

async function withDependencies(names: readonly string[]): Promise<Set<string>> {
  const all = new Set<string>();
  const add = async (name: string): Promise<void> => {
    if (all.has(name) || (await stat(folderOf(name)).catch(() => undefined)) === undefined) return;
    all.add(name);
    const manifest = require(join(folderOf(name), 'package.json')) as Record<
      string,
      Record<string, string> | undefined
    >;
    const needed = { ...manifest['dependencies'], ...manifest['optionalDependencies'] };
    for (const dependency of Object.keys(needed)) await add(dependency);
  };
  for (const name of names) await add(name);
  return all;
}
