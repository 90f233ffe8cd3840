import { IsolatedEngine } from '#adapters/isolated-engine.ts';
import type { LoadedModel } from '#adapters/model-folder.ts';
import type { ReferenceImage } from '#models/verify/references.ts';
import { batchOf } from '#models/verify/run-model.ts';

const ROUNDS = 9;
const WARM_UP_ROUNDS = 2;
const BATCH_IMAGES = 8;
const MAX_SECONDS_PER_RUN = 120;

/** How long both models take for an image on one CPU thread: milliseconds, medians of runs that take turns. */
export interface Timing {
  readonly floatMs: number;
  readonly derivedMs: number;
  /** float / derived: above 1 the derived model is the faster one. */
  readonly ratio: number;
}

/** Times two models with the same inputs on the same images. */
export async function timeModels(
  float: LoadedModel,
  derived: LoadedModel,
  images: readonly ReferenceImage[],
): Promise<Timing> {
  const some = images.slice(0, Math.min(BATCH_IMAGES, float.manifest.maxBatch ?? BATCH_IMAGES));
  const load = ({ modelPath }: LoadedModel): Promise<IsolatedEngine> =>
    IsolatedEngine.load({
      modelPath,
      provider: 'cpu',
      threads: 1,
      maxBatch: some.length,
      maxSecondsPerRun: MAX_SECONDS_PER_RUN,
    });
  await using first = await load(float);
  await using second = await load(derived);
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++)
    for (const [i, engine] of [first, second].entries()) {
      const batch = batchOf(float.manifest, some);
      const startedMs = performance.now();
      await engine.run(batch);
      if (round >= WARM_UP_ROUNDS) times[i]?.push((performance.now() - startedMs) / some.length);
    }
  const [floatMs, derivedMs] = times.map(median) as [number, number];
  return { floatMs, derivedMs, ratio: floatMs / derivedMs };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}
