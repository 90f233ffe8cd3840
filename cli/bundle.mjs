import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const BUNDLES = join(ROOT, 'dist', 'bundles');
/** What the command is made of. */
const SOURCES = ['adapters', 'cli', 'core', 'functions', 'models', 'report', 'workers'];
/** The command, and what it starts in processes and threads of its own. */
const ENTRIES = [
  'cli/main.ts',
  'functions/preprocessing/pack-process.ts',
  'adapters/engine-process.ts',
  'adapters/onnx-engine-thread.ts',
  'adapters/image/picture-thread.ts',
  'workers/fetch-thread.ts',
];
/** They load native code or files of their own, from where they are installed; esbuild and tsx make the bundle itself. */
const NATIVE = ['@node-rs/crc32', 'esbuild', 'koffi', 'libheif-js', 'onnxruntime-node', 'sharp', 'tsx'];
/** Other processes may still be running an earlier one. */
const KEPT = 3;

/**
 * The sources and the packages that they use as JavaScript, in a folder of their own: a process that has to translate hundreds of
 * TypeScript files, or to find those of the packages, takes several times as long to start. Made once, and again whenever a source has changed.
 *
 * @returns {Promise<URL>} the bundled command. It throws where there is none that this user can read, or can make.
 */
export async function bundledCommand() {
  const folder = join(BUNDLES, await fingerprint());
  if (!existsSync(folder)) await bundle(folder);
  const command = join(folder, 'main.mjs');
  await access(command, constants.R_OK);
  return pathToFileURL(command);
}

/** Of names, sizes and times of all sources: reading them all would take longer. */
async function fingerprint() {
  const files = (await Promise.all(SOURCES.map((folder) => sourcesOf(join(ROOT, folder))))).flat().sort();
  const states = await Promise.all(
    [...files, join(ROOT, 'package-lock.json'), fileURLToPath(import.meta.url)].map(async (file) => {
      const { size, mtimeMs } = await stat(file);
      return `${file} ${size} ${mtimeMs}`;
    }),
  );
  return createHash('sha256').update(states.join('\n')).digest('hex').slice(0, 16);
}

async function sourcesOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter(({ name }) => name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

async function bundle(folder) {
  const { build, stop } = await import('esbuild');
  await mkdir(BUNDLES, { recursive: true });
  const unfinished = await mkdtemp(join(BUNDLES, '.unfinished-'));
  try {
    await build({
      absWorkingDir: ROOT,
      entryPoints: Object.fromEntries(ENTRIES.map((entry) => [basename(entry, '.ts'), `./${entry}`])),
      outdir: unfinished,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      splitting: true,
      sourcemap: 'linked',
      sourcesContent: false,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      external: NATIVE,
      mainFields: ['module', 'main'],
      // What was written for require() finds one.
      banner: {
        js: "import { createRequire as createRequire_ } from 'node:module';const require = createRequire_(import.meta.url);",
      },
      logLevel: 'error',
    });
    // Temporary folders are their maker's alone; whoever has installed this may not be who runs it.
    await chmod(unfinished, 0o755);
    // Whoever comes first: two that began at the same time have made the same.
    await rename(unfinished, folder).catch(() => undefined);
  } finally {
    // Its process would stay beside the command, with 190 MiB.
    await stop();
    await rm(unfinished, { recursive: true, force: true });
  }
  await removeOlder(folder);
}

async function removeOlder(newest) {
  const bundles = await Promise.all(
    (await readdir(BUNDLES)).map(async (name) => {
      const path = join(BUNDLES, name);
      return { path, madeAt: (await stat(path)).mtimeMs };
    }),
  );
  const older = bundles.filter(({ path }) => path !== newest).sort((a, b) => b.madeAt - a.madeAt);
  await Promise.all(older.slice(KEPT).map(({ path }) => rm(path, { recursive: true, force: true })));
}
