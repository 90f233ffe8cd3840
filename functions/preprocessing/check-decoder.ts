import { readFile } from 'node:fs/promises';
import { goldenPaths, readGolden } from '#adapters/golden.ts';
import { loadManifest, modelFolder } from '#adapters/model-folder.ts';
import { SluiceError } from '#core/error.ts';
import { PIXEL_TOLERANCES, pixelDifference } from '#core/image/pixel-difference.ts';
import { parseNpy } from '#core/npy.ts';
import { decodePack } from '#core/pack.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import type { PackProcesses } from './pack-processes.ts';

/** More than the header of a pack with one image. */
const HEADER_BYTES = 64 * 1024;

/**
 * Decodes the first golden image of each model before any other image: a decoder of another build, or for another
 * processor, gives pixels too. Models that take pictures in the same way are checked once; a model without golden results,
 * or whose preprocessing was changed since, is not.
 *
 * @param models by name or folder.
 * @returns the models that were checked.
 * @throws SluiceError `model-invalid` where the pixels are further from the golden ones than `sluice models verify` allows.
 */
export async function checkDecoder(
  models: readonly string[],
  processes: Pick<PackProcesses, 'build'>,
): Promise<string[]> {
  const checked = new Map<string, string>();
  for (const model of models) {
    const { preprocess } = await loadManifest(model);
    const hash = preprocessHash(preprocess);
    const golden = await readGolden(modelFolder(model));
    const file = golden?.images[0]?.file;
    if (file === undefined || golden?.preprocessHash !== hash || checked.has(hash)) continue;
    const { folder, pixels } = goldenPaths(modelFolder(model));
    const rowBytes = preprocess.widthPx * preprocess.heightPx * 3;
    const expected = parseNpy(await readFile(pixels), pixels).data.subarray(0, rowBytes);
    const built = await processes.build({
      id: { job: 'golden', stage: 'golden', name: hash },
      source: { kind: 'folder', root: folder },
      refs: [{ key: file, etag: '', bytes: 1 }],
      preprocess,
      preprocessHash: hash,
      inlineUpToBytes: 2 * rowBytes + HEADER_BYTES,
    });
    const pack = decodePack(Buffer.from(built.inline as Uint8Array));
    const [refused] = pack.header.refused;
    if (refused !== undefined) throw invalid(model, file, `it is refused: ${refused.refusal.detail}`);
    const { mean, p99 } = pixelDifference(expected, (i) => pack.images[i] as number);
    const { maxMean, maxP99 } = PIXEL_TOLERANCES;
    if (mean > maxMean || p99 > maxP99) {
      const found = `its pixels are ${mean.toFixed(2)} levels from the stored ones in the mean, ${p99} at the 99th percentile`;
      throw invalid(model, file, `${found}; expected at most ${maxMean} and ${maxP99}`);
    }
    checked.set(hash, model);
  }
  return [...checked.values()];
}

function invalid(model: string, file: string, what: string): SluiceError {
  return new SluiceError(
    'model-invalid',
    `this decoder does not make of the golden image "${file}" of "${model}" what the model was verified with: ${what}`,
  );
}
