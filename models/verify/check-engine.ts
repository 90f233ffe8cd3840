import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { goldenPaths, readGolden } from '#adapters/golden.ts';
import type { LoadedModel } from '#adapters/model-folder.ts';
import { readOutputs } from '#core/decode/read-outputs.ts';
import { SluiceError } from '#core/error.ts';
import { parseNpy } from '#core/npy.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { ObjectDifference } from './compare-objects.ts';
import {
  boxFailures,
  compareResults,
  forComparison,
  resultFailures,
  withoutWeaker,
} from './compare-results.ts';

/**
 * float16 keeps 11 bits: probabilities move by some thousandths on the way through a deep network, and the edges of small
 * objects by a pixel.
 */
const TOLERANCES = { maxScoreDifference: 0.03, minBoxOverlap: 0.75, minTop1: 0 };

/**
 * Runs the golden images of a model through an engine before it gets any work: an engine built from another model, or for
 * another GPU, answers with numbers too.
 *
 * @returns the number of images, the largest difference of a score, and for a detector how its objects compare;
 * `undefined` where the model has no golden results.
 * @throws SluiceError `model-invalid` where a score differs by more than 0.03, or objects are not found or are elsewhere.
 */
export async function checkAgainstGolden(
  engine: Engine,
  { manifest, modelPath }: LoadedModel,
): Promise<{ images: number; maxDifference: number; objects?: ObjectDifference } | undefined> {
  const folder = dirname(modelPath);
  const golden = await readGolden(folder);
  // Models with a second input, such as the content's size, are the project's own and checked by its tests.
  if (golden === undefined || manifest.inputs.length !== 1) return undefined;
  const { pixels: file } = goldenPaths(folder);
  const pixels = parseNpy(await readFile(file), file);
  const images = golden.images.length;
  const input = manifest.inputs[0]?.name as string;
  const outputs = await engine.run({
    [input]: { dtype: 'uint8', shape: pixels.shape, data: Uint8Array.from(pixels.data) },
  });
  const results = readOutputs(outputs, forComparison(manifest, TOLERANCES.maxScoreDifference), golden.images);
  const names = golden.images.map(({ file: name }) => `the golden image ${name}`);
  const asStored = withoutWeaker(manifest, golden.minScore);
  const difference = compareResults(names, golden.images, results, asStored, TOLERANCES);
  const failures = [...boxFailures(results), ...resultFailures(difference, 'the golden results', TOLERANCES)];
  if (failures.length > 0)
    throw new SluiceError(
      'model-invalid',
      `the engine does not give what is right: ${failures.join('; ')}. It is not this model, or its precision is not enough for it`,
    );
  const { max, objects } = difference;
  return { images, maxDifference: max, ...(objects !== undefined && { objects }) };
}
