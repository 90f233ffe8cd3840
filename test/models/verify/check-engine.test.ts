import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeGolden } from '#adapters/golden.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { GraphBuilder } from '#models/onnx/graph-builder.ts';
import { checkAgainstGolden } from '#models/verify/check-engine.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { tinyManifest } from '#test/support/tiny-manifest.ts';
import { twoBoxesModel } from '#test/support/tiny-models.ts';

const PIXELS = Uint8Array.from({ length: 2 * 48 }, (_, i) => (i * 5) % 256);

/** A model that gives the mean of each channel, 0–1, and what it was found to give. */
async function start(golden: (mean: number) => number) {
  const folder = await temporaryFolder();
  const model = join(folder.path, 'mean');
  await mkdir(model);
  const g = new GraphBuilder('mean', 17);
  const pixels = g.input('pixels', 'uint8', ['N', 4, 4, 3]);
  const floats = g.node('Mul', [g.node('Cast', [pixels], { to: 1 }), g.constant('float32', [1], [1 / 255])]);
  g.output('scores', 'float32', ['N', 3], g.node('ReduceMean', [floats], { axes: [1, 2], keepdims: 0 }));
  const bytes = g.toBytes();
  await writeFile(join(model, 'mean.onnx'), bytes);
  const manifest = tinyManifest(
    {
      file: 'mean.onnx',
      sha256: sha256Hex(bytes),
      inputs: [{ name: 'pixels', from: 'pixels' }],
      outputs: [{ name: 'scores', decode: 'scores', labels: ['red', 'green', 'blue'] }],
    },
    4,
  );
  await writeFile(join(model, 'model.json'), JSON.stringify(manifest));
  const means = (image: number) =>
    [0, 1, 2].map((channel) => {
      const levels = PIXELS.subarray(48 * image, 48 * (image + 1)).filter((_, i) => i % 3 === channel);
      return golden(levels.reduce((a, b) => a + b, 0) / levels.length / 255);
    });
  const photo = join(folder.path, 'photo.png');
  await writeFile(photo, '');
  await writeGolden(
    model,
    { modelSha256: manifest.sha256, preprocessHash: 'p', softwareVersion: 's', decoderVersion: 'd' },
    [0, 1].map((image) => {
      const [red = 0, green = 0, blue = 0] = means(image);
      return { path: photo, widthPx: 4, heightPx: 4, scores: { red, green, blue }, objects: [] };
    }),
    { shape: [2, 4, 4, 3], data: PIXELS },
  );
  const loaded = await loadModel(model);
  const engine = await OnnxEngine.load({
    modelPath: loaded.modelPath,
    provider: 'cpu',
    threads: 1,
    maxBatch: 8,
  });
  return {
    loaded,
    engine,
    [Symbol.asyncDispose]: async () => {
      await engine[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A detector of two boxes, whose scores are `factor` times 0.9 and 0.26, and the golden results of the factor 1. */
async function startDetector(factor: number, boxFormat: 'xyxy' | 'cxcywh' = 'xyxy') {
  const folder = await temporaryFolder();
  const model = join(folder.path, 'found');
  await mkdir(model);
  const bytes = twoBoxesModel('uint8', ['N', 4, 4, 3], factor);
  await writeFile(join(model, 'found.onnx'), bytes);
  const preprocess = {
    widthPx: 4,
    heightPx: 4,
    resize: { mode: 'letterbox', pad: [0, 0, 0], align: 'start', enlarge: true },
    kernel: 'linear',
    color: 'srgb',
    background: [0, 0, 0],
  };
  const head = { kind: 'ssd', scores: 'scores', boxes: 'boxes', activation: 'none', background: null };
  await writeFile(
    join(model, 'model.json'),
    JSON.stringify({
      schema: 1,
      name: 'found',
      ...{ description: '', license: '', source: '' },
      file: 'found.onnx',
      sha256: sha256Hex(bytes),
      preprocess,
      inputs: [{ name: 'pixels', from: 'pixels' }],
      outputs: ['scores', 'boxes'].map((name) => ({ name, decode: 'detector' })),
      detector: {
        head: { ...head, boxFormat, boxUnit: 'normalized' },
        labels: ['cat'],
        ...{ minScore: 0.25, maxOverlap: 0.45, maxDetections: 10 },
      },
      policy: { rules: [] },
    }),
  );
  const photo = join(folder.path, 'photo.png');
  await writeFile(photo, '');
  // Of a picture of 800 × 400 px.
  const objects = [
    { label: 'cat', score: 0.9, box: { leftPx: 80, topPx: 160, rightPx: 320, bottomPx: 320 } },
    { label: 'cat', score: 0.26, box: { leftPx: 480, topPx: 160, rightPx: 640, bottomPx: 320 } },
  ];
  const scores = { cat_max: 0.9, detections: 2 };
  await writeGolden(
    model,
    { modelSha256: 'm', preprocessHash: 'p', softwareVersion: 's', decoderVersion: 'd', minScore: 0.25 },
    [0, 1].map(() => ({ path: photo, widthPx: 800, heightPx: 400, scores, objects })),
    { shape: [2, 4, 4, 3], data: PIXELS },
  );
  const loaded = await loadModel(model);
  const { modelPath } = loaded;
  const engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 8 });
  return {
    loaded,
    engine,
    [Symbol.asyncDispose]: async () => {
      await engine[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe('an engine that is checked before it gets work', () => {
  it('passes where it gives what the model was found to give', async () => {
    await using here = await start((mean) => mean);
    const found = await checkAgainstGolden(here.engine, here.loaded);
    expect(found?.images).toBe(2);
    expect(found?.maxDifference).toBeLessThan(1e-5);
  });

  it('is refused where it gives something else, with the score and the image', async () => {
    await using here = await start((mean) => mean + 0.05);
    await expect(checkAgainstGolden(here.engine, here.loaded)).rejects.toMatchObject({
      code: 'model-invalid',
      message: expect.stringMatching(/(red|green|blue) of the golden image 00[01]\.png: .*expected/),
    });
  });

  it('passes as a detector whose scores are a little lower, also where that takes an object below the threshold', async () => {
    for (const factor of [1, 0.999, 0.97]) {
      await using here = await startDetector(factor);
      const found = await checkAgainstGolden(here.engine, here.loaded);
      expect(found).toMatchObject({ images: 2, objects: { unmatched: 0 } });
      expect(found?.maxDifference).toBeCloseTo(0.9 * (1 - factor), 3);
    }
  });

  it('is refused as a detector that loses an object, or scores it otherwise', async () => {
    await using lost = await startDetector(0.2);
    await expect(checkAgainstGolden(lost.engine, lost.loaded)).rejects.toThrow(
      /2 of 2 objects are not those of the golden results.*"cat" 0\.900 at \[80, 160, 320, 320\] of the golden image 000\.png is not found/,
    );
    await using lower = await startDetector(0.9);
    await expect(checkAgainstGolden(lower.engine, lower.loaded)).rejects.toThrow(
      /scores differ.* by 0\.0900/,
    );
  });

  it('is refused as a detector whose boxes are read in the wrong format', async () => {
    await using here = await startDetector(1, 'cxcywh');
    await expect(checkAgainstGolden(here.engine, here.loaded)).rejects.toThrow(/objects are not those/);
  });

  it('has nothing to be checked against where nobody has stored any', async () => {
    const model = await loadModel('quality');
    const { modelPath } = model;
    await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 1 });
    expect(await checkAgainstGolden(engine, model)).toBeUndefined();
  });
});
