import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

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
 * Packages that are not bundled: sharp has a binary for each platform, libheif-js a WebAssembly file. A function finds
 * them in a layer, or in `node_modules` beside the package.
 */
export const LAYER_PACKAGES = ['sharp', 'libheif-js'] as const;

/** Never in a function: it is unpacked larger than a function may be, and functions run no model. */
const LEFT_OUT = ['onnxruntime-node'];

/**
 * The folder of a pipeline's model. It lies in `models/`, where the workers' image takes it from too.
 *
 * @throws Error for a model that lies elsewhere.
 */
export function packagedModel(nameOrFolder = 'quality'): string {
  const [, name] = /^(?:\.\/)?(?:models\/)?([^/\\.][^/\\]*)\/?$/.exec(nameOrFolder) ?? [];
  if (name !== undefined) return join(ROOT, 'models', name);
  throw new Error(
    `model "${nameOrFolder}" cannot be deployed: expected a folder in models/, from which functions and the workers' image are made; got another place`,
  );
}

/**
 * Writes the package that all functions share: `functions/<name>.mjs` with `handler`, the manifests of the models, and
 * what says its version. The layout below is that of the sources, one folder deep, so paths between files hold.
 *
 * @param models the folders of the models' manifests; their ONNX files stay behind.
 */
export async function bundleFunctions(
  outFolder: string,
  models: readonly string[] = [packagedModel()],
): Promise<void> {
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
    external: [...LAYER_PACKAGES, ...LEFT_OUT],
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
