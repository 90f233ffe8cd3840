import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { GraphBuilder } from '#models/onnx/graph-builder.ts';
import { checkAgainstGolden } from '#models/verify/check-engine.ts';
import { writeGolden } from '#models/verify/golden.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

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
  const manifest = {
    schema: 1,
    name: 'mean',
    description: '',
    license: '',
    source: '',
    file: 'mean.onnx',
    sha256: sha256Hex(bytes),
    preprocess: {
      widthPx: 4,
      heightPx: 4,
      resize: { mode: 'squash' },
      kernel: 'linear',
      color: 'srgb',
      background: [0, 0, 0],
    },
    inputs: [{ name: 'pixels', from: 'pixels' }],
    outputs: [{ name: 'scores', decode: 'scores', labels: ['red', 'green', 'blue'] }],
    policy: { rules: [] },
  };
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
      return { path: photo, scores: { red, green, blue } };
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

describe('an engine that is checked before it gets work', () => {
  it('passes where it gives what the model was found to give', async () => {
    await using here = await start((mean) => mean);
    const found = await checkAgainstGolden(here.engine, here.loaded);
    expect(found?.images).toBe(2);
    expect(found?.maxDifference).toBeLessThan(1e-5);
  });

  it('is refused where it gives something else, with the image and the score', async () => {
    await using here = await start((mean) => mean + 0.05);
    await expect(checkAgainstGolden(here.engine, here.loaded)).rejects.toMatchObject({
      code: 'model-invalid',
      message: expect.stringMatching(/"red" of the golden image 000\.png.*is right/),
    });
  });

  it('has nothing to be checked against where nobody has stored any', async () => {
    const model = await loadModel('quality');
    const { modelPath } = model;
    await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 1 });
    expect(await checkAgainstGolden(engine, model)).toBeUndefined();
  });
});
