import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '#adapters/model-folder.ts';
import { importModel } from '#models/import/import-model.ts';
import type { Wishes } from '#models/import/wishes.ts';
import { DEFAULT_TOLERANCES } from '#models/verify/tolerances.ts';
import { type VerifyReport, type VerifyRequest, verifyModel } from '#models/verify/verify-model.ts';
import type { RgbImage } from '#test/support/pillow.ts';
import { floatNpy, referenceTensor, type Training } from '#test/support/reference-tensor.ts';
import { syntheticImage } from '#test/support/synthetic-image.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { meansModel, putModel, twoBoxesModel } from '#test/support/tiny-models.ts';

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

  it('says that preprocessing was not checked where only the original model was asked, and stores nothing', async () => {
    const wrong: Wishes = { channelOrder: 'bgr', mean: [0, 0, 0], std: [1, 1, 1] };
    const report = await verified(wrong, { original, store: true }, 'unchecked');
    expect(report).toMatchObject({ failures: [], preprocessingChecked: false, stored: undefined });
    expect(await verified({}, { tensor })).toMatchObject({ preprocessingChecked: true });
  });

  describe('of pictures with an EXIF orientation', () => {
    const stored = PICTURES[0] as RgbImage;
    const { widthPx, heightPx } = stored;
    const putTurned = async (orientation: number | undefined): Promise<string> => {
      const path = join(folder.path, `turned-${orientation}.webp`);
      await sharp(stored.data, { raw: { width: widthPx, height: heightPx, channels: 3 } })
        .withMetadata(orientation === undefined ? {} : { orientation })
        .webp({ lossless: true })
        .toFile(path);
      return path;
    };
    /** Both sides scaled to 64 px, or to 48 × 64 px. */
    const squashed = (sidesPx: readonly [number, number] = [64, 64]) => ({ ...TRAINING, sidesPx });
    const putReference = async (picture: RgbImage, training: Training): Promise<string> => {
      const path = join(folder.path, 'turned.npy');
      await writeFile(path, referenceTensor([picture], training));
      return path;
    };
    const upright = async (path: string): Promise<RgbImage> => {
      const { data, info } = await sharp(path).autoOrient().raw().toBuffer({ resolveWithObject: true });
      return { widthPx: info.width, heightPx: info.height, data };
    };

    it.each([1, 2, 3, 4, 5, 6, 7, 8])(
      'passes where training code applied it too: %d',
      async (orientation) => {
        const path = await putTurned(orientation);
        const reference = await putReference(await upright(path), squashed());
        const squash: Wishes = { resize: { mode: 'squash' } };
        expect((await verified(squash, { images: [path], tensor: reference })).failures).toEqual([]);
      },
    );

    it.each([
      [2, /is mirrored: its EXIF/],
      [8, /is turned by 90°: its EXIF/],
    ])('catches that training code did not apply it: %d', async (orientation, reason) => {
      const path = await putTurned(orientation);
      const reference = await putReference(stored, squashed());
      const squash: Wishes = { resize: { mode: 'squash' } };
      const { failures } = await verified(squash, { images: [path], tensor: reference });
      expect(failures.join('\n')).toMatch(reason);
    });

    it('catches that training code turned a picture that is not turned here', async () => {
      const path = await putTurned(undefined);
      const reference = await putReference(await upright(await putTurned(6)), squashed());
      const squash: Wishes = { resize: { mode: 'squash' } };
      const { failures } = await verified(squash, { images: [path], tensor: reference });
      expect(failures.join('\n')).toMatch(/is turned by 90°: its EXIF orientation.*or is not here/);
    });

    it('catches it where the input is not square, both ways', async () => {
      const modelsFolder = join(folder.path, 'models');
      const wide = await putModel(folder.path, meansModel({ sidePx: 'any' }), 'wide.onnx');
      const wishes: Wishes = {
        ...RIGHT,
        name: 'wide',
        widthPx: 48,
        heightPx: 64,
        resize: { mode: 'squash' },
      };
      const request = { path: wide, preset: 'clip', modelsFolder, force: true, maxSecondsPerRun: 30 };
      const { folder: imported } = await importModel({ ...request, wishes });
      const of = { model: await loadModel(imported), tolerances: DEFAULT_TOLERANCES, store: false };
      const [turned, plain] = [await putTurned(6), await putTurned(undefined)];
      const asStored = await putReference(stored, squashed([48, 64]));
      expect((await verifyModel({ ...of, images: [plain], tensor: asStored })).failures).toEqual([]);
      expect((await verifyModel({ ...of, images: [turned], tensor: asStored })).failures.join()).toMatch(
        /is turned by 270°: its EXIF/,
      );
      const asTurned = await putReference(await upright(turned), squashed([48, 64]));
      expect((await verifyModel({ ...of, images: [turned], tensor: asTurned })).failures).toEqual([]);
      expect((await verifyModel({ ...of, images: [plain], tensor: asTurned })).failures.join()).toMatch(
        /is turned by 90°: its EXIF/,
      );
    });
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

  describe('that finds objects', () => {
    let detector: string;
    let boxes: string;
    /** Two in each of three pictures of other sizes: 300 × 220, 200 × 320 and 256 × 256 px. */
    const objects = PICTURES.map(({ widthPx, heightPx }) =>
      [
        { label: 'Cat', score: 0.9, shares: [0.1, 0.2, 0.4, 0.4] },
        { label: 'Cat', score: 0.26, shares: [0.6, 0.2, 0.8, 0.4] },
      ].map(({ shares, ...object }) => ({
        ...object,
        box: shares.map((share, i) => share * (i % 2 === 0 ? widthPx : heightPx)),
      })),
    );
    const put = async (name: string, images: readonly unknown[]): Promise<string> => {
      const path = join(folder.path, name);
      const byName = images.map((image, i) => [`photo-${i}.png`, { objects: image }]);
      await writeFile(path, JSON.stringify(Object.fromEntries(byName)));
      return path;
    };
    const found = async (wishes: Wishes, references: Partial<VerifyRequest>, name = 'boxes') => {
      const resize = { mode: 'squash' } as const;
      const modelsFolder = join(folder.path, 'models');
      const request = { path: detector, preset: 'zero-one', modelsFolder, force: true, maxSecondsPerRun: 30 };
      const own = { boxUnit: 'normalized', labels: ['cat'], resize, ...wishes, name } as const;
      const { folder: imported } = await importModel({ ...request, wishes: own });
      const model = await loadModel(imported);
      const of = { model, images: photos, tolerances: DEFAULT_TOLERANCES, store: false, ...references };
      return { folder: imported, ...(await verifyModel(of)) };
    };

    beforeAll(async () => {
      const bytes = twoBoxesModel('float32', ['N', 3, 64, 64]);
      detector = await putModel(folder.path, bytes, 'boxes.onnx');
      boxes = await put('boxes.json', objects);
    });

    it('passes with the objects that it has to find, and stores them', async () => {
      const report = await found({ boxFormat: 'xyxy' }, { expected: boxes, original: detector, store: true });
      expect(report.failures).toEqual([]);
      expect(report.scores.map(({ objects: of }) => of)).toMatchObject([
        { objects: 6, unmatched: 0 },
        { objects: 6, unmatched: 0 },
      ]);
      const model = await loadModel(report.folder);
      const again = { model, images: [], tolerances: DEFAULT_TOLERANCES, store: true };
      expect(await verifyModel(again)).toMatchObject({ failures: [], scores: [{ objects: { objects: 6 } }] });

      // Read in another format from now on.
      const path = join(report.folder, 'model.json');
      const manifest = (await readFile(path, 'utf8')).replace('"boxFormat": "xyxy"', '"boxFormat": "yxyx"');
      await writeFile(path, manifest);
      const changed = { ...again, model: await loadModel(report.folder) };
      expect((await verifyModel(changed)).failures.join()).toMatch(
        /6 of 6 objects are not those of the golden results.*is not found/,
      );
    });

    it('does not mind an object near the threshold', async () => {
      const few = await put(
        'few.json',
        objects.map((of) => of.slice(0, 1)),
      );
      expect((await found({}, { expected: few })).failures).toEqual([]);
      const counted = join(folder.path, 'counted.json');
      const rows = (detections: number) => JSON.stringify(photos.map(() => ({ cat_max: 0.9, detections })));
      await writeFile(counted, rows(1));
      expect((await found({}, { expected: counted })).failures).toEqual([]);
      await writeFile(counted, rows(3));
      expect((await found({}, { expected: counted })).failures.join()).toMatch(
        /the number of objects is not that of counted\.json: photo-0\.png: 1 to 2, expected 3/,
      );
    });

    it('catches boxes in the wrong format, by what is expected and by themselves', async () => {
      const { failures } = await found({ boxFormat: 'yxyx' }, { expected: boxes });
      expect(failures.join()).toMatch(
        /objects are not those of boxes\.json.*"cat" 0\.900 at \[30, 44, 120, 88\]/,
      );
      const wrong = await found({ boxFormat: 'xyxy', boxUnit: 'pixels' }, { original: detector });
      expect(wrong.failures.join()).toMatch(
        /6 of 6 boxes are inside out or smaller than a pixel: .*--box-format or --box-unit/,
      );
    });

    it('refuses objects that the model cannot find', async () => {
      const dog = await put(
        'dog.json',
        objects.map(([one]) => [{ ...one, label: 'dog' }]),
      );
      await expect(found({}, { expected: dog })).rejects.toThrow(
        /names objects dog, which the model does not/,
      );
      await expect(verified({}, { expected: boxes })).rejects.toThrow(/the model is no detector/);
    });
  });

  it('refuses another model as the original', async () => {
    const other = await putModel(folder.path, meansModel({ sidePx: 64, layout: 'nhwc' }), 'other.onnx');
    await expect(verified({}, { original: other })).rejects.toThrow(
      /is not the model that "tiny" was imported from/,
    );
  });
});
