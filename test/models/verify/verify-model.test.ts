import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '#adapters/model-folder.ts';
import { importModel } from '#models/import/import-model.ts';
import type { Wishes } from '#models/import/wishes.ts';
import {
  DEFAULT_TOLERANCES,
  type VerifyReport,
  type VerifyRequest,
  verifyModel,
} from '#models/verify/verify-model.ts';
import type { RgbImage } from '#test/support/pillow.ts';
import { floatNpy, referenceTensor } from '#test/support/reference-tensor.ts';
import { syntheticImage } from '#test/support/synthetic-image.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { meansModel, putModel } from '#test/support/tiny-models.ts';

/** As in training: 73 px and a crop of 64, as 256 and 224; the mean and std of CLIP. */
const TRAINING = {
  shorterPx: 73,
  sidePx: 64,
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};
const RIGHT: Wishes = {
  decode: 'scores',
  labels: ['red', 'green', 'blue'],
  resize: { mode: 'center-crop', shorterSidePx: 73 },
};

/** Full of detail, as photos are: on smooth pictures all kernels agree. */
const PICTURES: RgbImage[] = [
  syntheticImage(300, 220, 1, 160),
  syntheticImage(200, 320, 2, 160),
  syntheticImage(256, 256, 3, 160),
];

describe('verifying a model', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let original: string;
  let photos: string[];
  let tensor: string;
  /** Under which wishes a model was imported last. */
  const wishesOf = new Map<string, string>();

  beforeAll(async () => {
    folder = await temporaryFolder();
    original = await putModel(folder.path, meansModel({ sidePx: 64 }));
    photos = await Promise.all(PICTURES.map((picture, i) => putPhoto(picture, `photo-${i}.png`)));
    tensor = join(folder.path, 'reference.npy');
    await writeFile(tensor, referenceTensor(PICTURES, TRAINING));
  });
  afterAll(() => folder?.[Symbol.asyncDispose]());

  async function putPhoto({ widthPx, heightPx, data }: RgbImage, name: string): Promise<string> {
    const path = join(folder.path, name);
    await sharp(data, { raw: { width: widthPx, height: heightPx, channels: 3 } })
      .png()
      .toFile(path);
    return path;
  }

  /** Imports the model under these wishes, and verifies it. */
  async function verified(
    wishes: Wishes,
    references: Partial<VerifyRequest>,
    name = 'tiny',
  ): Promise<VerifyReport & { folder: string }> {
    const imported = join(folder.path, 'models', name);
    if (wishesOf.get(name) !== JSON.stringify(wishes)) {
      const modelsFolder = join(folder.path, 'models');
      const request = { path: original, preset: 'clip', modelsFolder, force: true, maxSecondsPerRun: 30 };
      await importModel({ ...request, wishes: { ...RIGHT, ...wishes, name } });
      wishesOf.set(name, JSON.stringify(wishes));
    }
    const model = await loadModel(imported);
    const request = { model, images: photos, tolerances: DEFAULT_TOLERANCES, store: false, ...references };
    return { folder: imported, ...(await verifyModel(request)) };
  }

  it('passes one that is preprocessed as in training, on the tensor of the training code', async () => {
    const { failures, pixels, scores } = await verified({}, { tensor, original });
    expect(failures).toEqual([]);
    expect(pixels?.mean).toBeLessThan(0.8);
    expect(scores[0]?.max).toBeLessThan(0.02);
  });

  it.each<[string, Wishes, RegExp]>([
    ['swapped channels', { channelOrder: 'bgr' }, /channels are swapped/],
    ['a wrong mean', { mean: [0.485, 0.456, 0.55] }, /mean, std or scale differ/],
    ['a wrong std', { std: [0.229, 0.224, 0.225] }, /mean, std or scale differ/],
    ['a wrong scale', { scale: 1 / 127.5 }, /mean, std or scale differ/],
    ['a wrong kernel', { kernel: 'linear' }, /the geometry or the kernel differs/],
    ['a kernel without antialiasing', { kernel: 'linear-sampled' }, /the geometry or the kernel differs/],
    [
      'a crop of the picture scaled to 224 instead of 256',
      { resize: { mode: 'center-crop', shorterSidePx: 64 } },
      /the geometry or the kernel differs/,
    ],
    ['a squashed picture', { resize: { mode: 'squash' } }, /the geometry or the kernel differs/],
  ])('catches %s on the tensor of the training code', async (_, wishes, reason) => {
    const { failures } = await verified(wishes, { tensor });
    expect(failures.join('\n')).toMatch(reason);
  });

  it('catches an EXIF orientation that the training code did not apply', async () => {
    const stored = PICTURES[2] as RgbImage;
    const turned = join(folder.path, 'turned.webp');
    await sharp(stored.data, { raw: { width: 256, height: 256, channels: 3 } })
      .withMetadata({ orientation: 6 })
      .webp({ lossless: true })
      .toFile(turned);
    const unturned = join(folder.path, 'unturned.npy');
    await writeFile(unturned, referenceTensor([stored], TRAINING));
    const { failures } = await verified({}, { images: [turned], tensor: unturned });
    expect(failures.join('\n')).toMatch(/turned by \d+°: its EXIF orientation was not applied/);
  });

  it('catches a wrong mean by the scores of the original model', async () => {
    const { failures } = await verified({ mean: [0.485, 0.456, 0.55] }, { tensor, original });
    expect(failures.join('\n')).toMatch(/scores differ from the original model by 0\.\d+ .*blue of photo-/);
  });

  it('compares with expected scores by name, and with an array of them', async () => {
    const report = await verified({}, { tensor, original, store: true }, 'scored');
    const golden = JSON.parse(await readFile(join(report.folder, 'golden', 'golden.json'), 'utf8')) as {
      images: { scores: Record<string, number> }[];
    };
    const rows = golden.images.map(({ scores }) => scores);
    const json = join(folder.path, 'expected.json');
    await writeFile(json, JSON.stringify(Object.fromEntries(rows.map((row, i) => [`photo-${i}.png`, row]))));
    expect((await verified({}, { expected: json })).failures).toEqual([]);
    const array = join(folder.path, 'expected.npy');
    const values = rows.flatMap((row) => [row['red']!, row['green']!, row['blue']!]);
    await writeFile(array, floatNpy([3, 3], Float32Array.from(values)));
    expect((await verified({}, { expected: array })).failures).toEqual([]);
    values.splice(0, 3, values[1]! + 1, values[0]!, values[2]!);
    await writeFile(array, floatNpy([3, 3], Float32Array.from(values)));
    const { failures } = await verified({}, { expected: array });
    expect(failures.join('\n')).toMatch(/red of photo-0.png/);
  });

  it('stores golden results, checks against them without any reference, and never moves them', async () => {
    const first = await verified({}, { tensor, store: true }, 'golden');
    expect(first.stored).toBeDefined();
    const model = await loadModel(first.folder);
    const again = { model, images: [], tolerances: DEFAULT_TOLERANCES, store: true };
    const second = await verifyModel(again);
    expect(second).toMatchObject({ images: 3, failures: [], stored: undefined });
    expect(second.pixels?.max).toBe(0);

    const path = join(first.folder, 'golden', 'golden.json');
    const golden = JSON.parse(await readFile(path, 'utf8')) as {
      images: { scores: Record<string, number> }[];
    };
    golden.images[1]!.scores['green']! += 0.5;
    await writeFile(path, JSON.stringify(golden));
    expect((await verifyModel(again)).failures.join()).toMatch(
      /differ from the golden results by 0\.5.*green/,
    );
  });

  it('stores nothing where the model is not as in training', async () => {
    const { stored } = await verified({ channelOrder: 'bgr' }, { tensor, store: true }, 'unstored');
    expect(stored).toBeUndefined();
  });

  it('wants something to compare with, and a tensor of the right shape', async () => {
    await expect(verified({}, {})).rejects.toThrow(/nothing to compare with: pass --tensor/);
    await expect(verified({}, { images: [] })).rejects.toThrow(/no golden results are stored/);
    await expect(verified({}, { images: photos.slice(0, 2), tensor })).rejects.toThrow(
      /expected a reference tensor \[2, 3, 64, 64\]/,
    );
  });

  it('refuses another model as the original', async () => {
    const other = await putModel(folder.path, meansModel({ sidePx: 64, layout: 'nhwc' }), 'other.onnx');
    await expect(verified({}, { original: other })).rejects.toThrow(
      /is not the model that "tiny" was imported from/,
    );
  });
});
