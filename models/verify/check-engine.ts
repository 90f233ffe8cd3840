import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LoadedModel } from '#adapters/model-folder.ts';
import { readOutputs } from '#core/decode/read-outputs.ts';
import { SluiceError } from '#core/error.ts';
import { parseNpy } from '#core/npy.ts';
import type { Engine } from '#core/ports/engine.ts';
import { goldenPaths, readGolden } from './golden.ts';

/** float16 keeps 11 bits: probabilities move by some thousandths on the way through a deep network. */
const MAX_SCORE_DIFFERENCE = 0.03;

/**
 * Runs the golden images of a model through an engine before it gets any work: an engine built from another model, or for
 * another GPU, answers with numbers too.
 *
 * @returns the number of images and the largest difference of a score; `undefined` where the model has no golden results.
 * @throws SluiceError `model-invalid` where a score differs by more than 0.03.
 */
export async function checkAgainstGolden(
  engine: Engine,
  { manifest, modelPath }: LoadedModel,
): Promise<{ images: number; maxDifference: number } | undefined> {
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
  const sizes = golden.images.map(() => manifest.preprocess);
  const results = readOutputs(outputs, manifest, sizes);
  let maxDifference = 0;
  for (const [i, { scores, file: image }] of golden.images.entries())
    for (const [name, expected] of Object.entries(scores)) {
      const got = results[i]?.scores[name];
      // With top-k, scores are missing that are too low to matter.
      if (got === undefined) continue;
      const difference = Math.abs(got - expected);
      maxDifference = Math.max(maxDifference, difference);
      if (!(difference <= MAX_SCORE_DIFFERENCE))
        throw new SluiceError(
          'model-invalid',
          `the engine gives ${got.toFixed(4)} for "${name}" of the golden image ${image}, where ${expected.toFixed(4)} is right: ` +
            'it is not this model, or its precision is not enough for it',
        );
    }
  return { images, maxDifference };
}
