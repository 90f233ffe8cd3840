import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goldenPaths, writeGolden } from '#adapters/golden.ts';
import { decodingProcesses } from '#cli/local-job.ts';
import { RunConfig } from '#core/config.ts';
import { parseNpy } from '#core/npy.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import { checkDecoder } from '#functions/preprocessing/check-decoder.ts';
import type { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { packageFirstGolden } from '#infra/packages/package-golden.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { tinyManifest } from '#test/support/tiny-manifest.ts';

const SIDE_PX = 4;
const PLAIN = { r: 40, g: 90, b: 200 };

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let processes: PackProcesses;
beforeAll(async () => {
  folder = await temporaryFolder();
  const works = { kind: 'folder', root: join(folder.path, 'works') } as const;
  processes = decodingProcesses(RunConfig.parse({ processes: 1 }), works);
});
afterAll(async () => {
  await processes[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** A model with two golden images, each of one colour, and what was stored as the pixels of the first. */
async function modelWith(name: string, stored: { r: number; g: number; b: number }, change: object = {}) {
  const model = join(folder.path, name);
  await mkdir(model);
  const manifest = tinyManifest({ name }, SIDE_PX);
  await writeFile(join(model, 'model.json'), JSON.stringify(manifest));
  const photo = join(folder.path, `${name}.png`);
  await sharp({ create: { width: 32, height: 32, channels: 3, background: PLAIN } })
    .png()
    .toFile(photo);
  const image = { path: photo, widthPx: 32, heightPx: 32, scores: {}, objects: [] };
  const facts = {
    modelSha256: manifest.sha256,
    preprocessHash: preprocessHash(manifest.preprocess),
    softwareVersion: 's',
    decoderVersion: 'd',
  };
  const row = Array.from({ length: SIDE_PX * SIDE_PX }, () => [stored.r, stored.g, stored.b]).flat();
  await writeGolden(model, { ...facts, ...change }, [image, image], {
    shape: [2, SIDE_PX, SIDE_PX, 3],
    data: Uint8Array.from([...row, ...row]),
  });
  return model;
}

describe('the check of a decoder', () => {
  it('passes where it gives the pixels that the model was verified with, once for models that take pictures alike', async () => {
    const [right, alike] = [await modelWith('right', PLAIN), await modelWith('alike', PLAIN)];
    expect(await checkDecoder([right, alike], processes)).toEqual([right]);
  });

  it('fails where it gives others, and says by how much', async () => {
    const model = await modelWith('swapped', { r: PLAIN.b, g: PLAIN.g, b: PLAIN.r });
    await expect(checkDecoder([model], processes)).rejects.toThrow(
      /golden image "000.png" of ".*swapped" .* 106.67 levels .* in the mean, 160 at the 99th percentile; expected at most 0.8 and 5/,
    );
  });

  it('fails where the image cannot be read at all', async () => {
    const model = await modelWith('cut', PLAIN);
    await writeFile(join(goldenPaths(model).folder, '000.png'), 'no image');
    await expect(checkDecoder([model], processes)).rejects.toThrow(/"000.png" .* it is refused: /);
  });

  it('has nothing to go by without golden results, or with those of another preprocessing', async () => {
    const other = await modelWith('other', PLAIN, { preprocessHash: 'another' });
    expect(await checkDecoder(['quality', other], processes)).toEqual([]);
  });

  it('finds one image of each model in the package of the functions', async () => {
    const [model, packaged] = [await modelWith('whole', PLAIN), join(folder.path, 'packaged')];
    await mkdir(packaged);
    await writeFile(join(packaged, 'model.json'), await readFile(join(model, 'model.json')));
    await packageFirstGolden(model, packaged);
    const { pixels } = goldenPaths(packaged);
    expect(parseNpy(await readFile(pixels), pixels).shape).toEqual([1, SIDE_PX, SIDE_PX, 3]);
    expect(await checkDecoder([packaged], processes)).toEqual([packaged]);
  });
});
