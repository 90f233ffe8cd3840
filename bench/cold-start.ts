import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bundleFunctions } from '#infra/packages/bundle-functions.ts';
import { writeLayer } from '#test/support/layer-folder.ts';
import { type BenchResult, median } from './support/bench.ts';
import { LocalCloud } from './support/local-cloud.ts';

const ROUNDS = 15;
const FUNCTIONS = ['plan', 'ingest', 'preprocess', 'finalize'] as const;
type FunctionName = (typeof FUNCTIONS)[number];

/** Loads a handler as Lambda's runtime does, and says when it is there. */
const RUNTIME = `await import(process.argv[1]); console.log('ready'); process.exit(0)`;

/** The functions' package as it is uploaded, in a bare directory: its size, and how long a handler takes to be loaded. */
export async function coldStartBench(): Promise<BenchResult[]> {
  await using cloud = await LocalCloud.start({});
  const root = await mkdtemp(join(tmpdir(), 'sluice-cold-start-'));
  try {
    await bundleFunctions(root);
    const codeMegabytes = (await bytesOf(root)) / 1e6;
    const layer = join(root, 'layer');
    await writeLayer(layer);
    const env = {
      ...process.env,
      ...cloud.env,
      SLUICE_PIPELINE: JSON.stringify(cloud.pipeline.config),
      NODE_PATH: join(layer, 'nodejs/node_modules'),
    };
    const start = async (script: readonly string[]): Promise<number> => {
      const startedMs = performance.now();
      const child = spawn(process.execPath, ['--input-type=module', '-e', ...script], { cwd: root, env });
      for await (const line of createInterface({ input: child.stdout })) if (line === 'ready') break;
      return performance.now() - startedMs;
    };
    const bare: number[] = [];
    const loaded = { plan: [], ingest: [], preprocess: [], finalize: [] } as Record<FunctionName, number[]>;
    for (let round = 0; round < ROUNDS; round++) {
      bare.push(await start([`console.log('ready')`]));
      for (const name of FUNCTIONS)
        loaded[name].push(await start([RUNTIME, join(root, 'functions', `${name}.mjs`)]));
    }
    return [
      { metric: 'package without its layer', value: codeMegabytes, unit: 'MB' },
      { metric: 'package with its layer, unpacked (x86-64)', value: (await bytesOf(root)) / 1e6, unit: 'MB' },
      { metric: 'Node alone, to its first line', value: median(bare), unit: 'ms' },
      ...FUNCTIONS.map((name) => ({
        metric: `${name}: to the handler`,
        value: median(loaded[name]),
        unit: 'ms',
      })),
    ];
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function bytesOf(path: string): Promise<number> {
  const info = await stat(path);
  if (!info.isDirectory()) return info.size;
  const sizes = await Promise.all((await readdir(path)).map((name) => bytesOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
