import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { packageFirstGolden } from './package-golden.ts';
import { packagedModel } from './package-models.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Handlers, and what they start in processes and threads of their own. */
const ENTRIES = [
  'functions/lambda/plan.ts',
  'functions/lambda/ingest.ts',
  'functions/lambda/preprocess.ts',
  'functions/lambda/finalize.ts',
  'functions/preprocessing/pack-process.ts',
  'adapters/image/picture-thread.ts',
];

/**
 * Packages that are not bundled: most have a binary for each platform, libheif-js a WebAssembly file. A function finds
 * them in a layer, by NODE_PATH.
 */
export const LAYER_PACKAGES = ['@node-rs/crc32', 'libheif-js', 'sharp'] as const;

/** Never in a function: it is unpacked larger than a function may be, and functions run no model. */
const LEFT_OUT = ['onnxruntime-node'];

/**
 * `import` does not look where NODE_PATH leads, and Lambda's own remedy is not that of the processes which a function
 * starts; `require` does.
 */
const REQUIRED_FROM_LAYER: Plugin = {
  name: 'required-from-layer',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(${LAYER_PACKAGES.join('|')})(/|$)`);
    onResolve({ filter }, ({ path, kind }) =>
      kind === 'require-call' ? { path, external: true } : { path, namespace: 'layer' },
    );
    onLoad({ filter: /.*/, namespace: 'layer' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/**
 * Writes the package that all functions share: `functions/<name>.mjs` with `handler`, the manifests of the models with a golden image of each, and
 * what says its version. The layout below is that of the sources, one folder deep, so paths between files hold.
 *
 * @param models the folders of the models' manifests; their ONNX files stay behind.
 */
export async function bundleFunctions(
  outFolder: string,
  models: readonly string[] = [packagedModel()],
): Promise<void> {
  // What an earlier bundle left would be uploaded too, and change the package's hash.
  await rm(outFolder, { recursive: true, force: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: Object.fromEntries(ENTRIES.map((entry) => [basename(entry, '.ts'), entry])),
    outdir: join(outFolder, 'functions'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    minify: true,
    keepNames: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: LEFT_OUT,
    plugins: [REQUIRED_FROM_LAYER],
    // What was written for require() finds one.
    banner: {
      js: "import { createRequire as createRequire_ } from 'node:module';const require = createRequire_(import.meta.url);",
    },
    logLevel: 'error',
  });
  for (const model of models) {
    const name = basename(model);
    await mkdir(join(outFolder, 'models', name), { recursive: true });
    await cp(join(model, 'model.json'), join(outFolder, 'models', name, 'model.json'));
    await packageFirstGolden(model, join(outFolder, 'models', name));
  }
  const { name: software, version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
  };
  await writeFile(
    join(outFolder, 'package.json'),
    `${JSON.stringify({ name: software, version, type: 'module' })}\n`,
  );
}
