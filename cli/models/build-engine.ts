import { resolve } from 'node:path';
import { makeFolder } from '#adapters/make-folder.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { openStore } from '#adapters/open-store.ts';
import { type EngineRecipe, engineFolder, Precision } from '#core/engine-artifact.ts';
import { SluiceError } from '#core/error.ts';
import { isS3Url, parseS3Url, type StoreLocation } from '#core/store-location.ts';
import { buildEngine } from '#models/gpu/build-engine.ts';
import { EngineStore } from '#workers/engine/engine-store.ts';
import { obtainEngine } from '#workers/engine/obtain-engine.ts';
import { engineCacheFolder, timingCachePath } from '../engine-cache.ts';
import { recipeHere } from '../engine-recipe.ts';
import { EXIT } from '../exit-codes.ts';

export interface BuildEngineFlags {
  readonly precision: string;
  readonly batch: string;
  readonly device: string;
  readonly trtexec: string;
  readonly flag?: string[];
  readonly out: string;
  readonly verbose?: boolean;
}

/** `sluice models build-engine`: a TensorRT engine for this machine's GPU, into the store that workers look in. */
export async function buildEngineCommand(
  nameOrFolder: string,
  flags: BuildEngineFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const model = await loadModel(nameOrFolder);
  const recipe = await recipeHere(
    model,
    {
      precision: precisionOf(flags.precision),
      batch: batchOf(flags.batch),
      deviceId: Number(flags.device),
      builderFlags: flags.flag ?? [],
    },
    env,
  );
  const location = locationOf(flags.out);
  if (location.kind === 'folder') await makeFolder(location.root);
  const built = await obtainEngine(new EngineStore(await openStore(location)), {
    recipe,
    worker: `pid ${process.pid}`,
    build: (wanted, signal) =>
      buildEngine({
        modelPath: model.modelPath,
        recipe: wanted,
        trtexec: flags.trtexec,
        timingCachePath: timingCachePath(engineCacheFolder(env), wanted),
        signal,
        ...(flags.verbose === true && { onLine: (line: string) => void process.stderr.write(`${line}\n`) }),
      }),
    onProgress: (message) => void process.stderr.write(`${message}\n`),
  });
  const { engine, buildSeconds, builtAt } = built.manifest;
  process.stdout.write(
    `${flags.out.replace(/\/$/, '')}/${engineFolder(recipe)}\n` +
      `  ${(engine.bytes / 1e6).toFixed(1)} MB, built ${builtAt} in ${buildSeconds.toFixed(0)} s\n`,
  );
  return EXIT.ok;
}

function precisionOf(text: string): Precision {
  const parsed = Precision.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new SluiceError(
    'config-invalid',
    `--precision expects ${Precision.options.join(' or ')}, got "${text}"`,
  );
}

/** "256", or "1:128:256" for the smallest batch, the one to tune for, and the largest. */
function batchOf(text: string): EngineRecipe['batch'] {
  const numbers = text.split(':').map(Number);
  const [min, opt, max] = numbers.length === 1 ? [1, numbers[0], numbers[0]] : numbers;
  const isOrdered = min !== undefined && opt !== undefined && max !== undefined && min <= opt && opt <= max;
  if (isOrdered && numbers.every((n) => Number.isInteger(n) && n > 0)) return { min, opt, max };
  throw new SluiceError(
    'config-invalid',
    `--batch expects a batch size such as 256, or smallest:usual:largest such as 1:128:256; got "${text}"`,
  );
}

function locationOf(out: string): StoreLocation {
  if (!isS3Url(out)) return { kind: 'folder', root: resolve(out) };
  const { bucket, prefix } = parseS3Url(out);
  return { kind: 's3', bucket, prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/` };
}
