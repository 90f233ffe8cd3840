import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LoadedModel, loadModel } from '#adapters/model-folder.ts';
import { importModel } from '#models/import/import-model.ts';
import { GraphBuilder } from '#models/onnx/graph-builder.ts';
import { type DeriveReport, type DeriveRequest, deriveModel } from '#models/precision/derive/derive-model.ts';
import { sluice } from '#test/support/sluice-command.ts';
import { syntheticImage } from '#test/support/synthetic-image.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { meansModel, putModel } from '#test/support/tiny-models.ts';
import { toPng } from '#test/support/variations.ts';

const SIDE = 16;
const IMAGES = 12;
const INT8: DeriveRequest['precision'] = {
  kind: 'int8',
  target: 'cpu',
  calibrator: { kind: 'max' },
  floatLayers: [],
};

/** A classifier of three classes with weights enough that a smaller file shows. */
function classifier(): Uint8Array {
  const g = new GraphBuilder('classifier', 13);
  const numbers = (count: number, seed: number) =>
    Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + seed) / 4);
  const conv = (x: ReturnType<typeof g.input>, from: number, to: number, seed: number) =>
    g.node('Relu', [
      g.node('Conv', [x, g.constant('float32', [to, from, 3, 3], numbers(to * from * 9, seed))], {
        pads: [1, 1, 1, 1],
        strides: [2, 2],
      }),
    ]);
  const x = g.input('x', 'float32', ['N', 3, SIDE, SIDE]);
  const features = conv(conv(x, 3, 32, 1), 32, 64, 2);
  const means = g.node('Flatten', [g.node('GlobalAveragePool', [features])]);
  const logits = g.node('Gemm', [means, g.constant('float32', [64, 3], numbers(192, 3))]);
  g.output('y', 'float32', ['N', 3], g.node('Softmax', [logits], { axis: 1 }));
  return g.toBytes();
}

describe('a model of lower precision', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let images: string;
  let model: LoadedModel;

  const derive = (request: Partial<DeriveRequest> = {}): Promise<DeriveReport> =>
    deriveModel({
      model,
      imagesFolder: images,
      maxImages: 1000,
      minTop1: 0.75,
      force: true,
      destination: { modelsFolder: join(folder.path, 'models'), name: 'three-int8' },
      precision: INT8,
      ...request,
    });

  beforeAll(async () => {
    folder = await temporaryFolder();
    images = join(folder.path, 'images');
    await mkdir(images);
    for (let i = 0; i < IMAGES; i++)
      await writeFile(join(images, `${i}.png`), await toPng(syntheticImage(24, 24, i + 1)));
    await writeFile(join(images, 'broken.jpg'), 'no image');
    const { folder: imported } = await importModel({
      path: await putModel(folder.path, classifier(), 'three.onnx'),
      wishes: { resize: { mode: 'squash' }, scale: 1 / 255, labels: ['a', 'b', 'c'] },
      policy: [{ check: 'b', when: { measure: 'b', above: 0.4 }, verdict: 'review' }],
      modelsFolder: join(folder.path, 'models'),
      force: false,
      maxSecondsPerRun: 30,
    });
    model = await loadModel(imported);
  });
  afterAll(() => folder?.[Symbol.asyncDispose]());

  it('in int8 is written beside the other one, smaller, and says what it was made of', async () => {
    const report = await derive();
    expect(report.agreement.images).toBe(IMAGES);
    expect(report.agreement.maxDifference).toBeLessThan(0.05);
    expect(report.agreement.maxDifference).toBeGreaterThan(0);
    expect(report.heldOut).toBe(false);
    expect(report.skipped).toEqual(['broken.jpg']);
    expect(report.bytes.derived).toBeLessThan(report.bytes.float / 2);
    const { manifest } = await loadModel(report.written as string);
    expect(manifest).toMatchObject({
      name: 'three-int8',
      policy: model.manifest.policy,
      derived: {
        precision: 'int8',
        from: { name: 'three', sha256: model.manifest.sha256 },
        quantization: { target: 'cpu', calibrator: 'max', images: IMAGES, floatLayers: [] },
        agreement: { images: IMAGES, heldOut: false, top1: report.agreement.top1 },
      },
    });
  });

  it('in float16 is, too', async () => {
    const report = await derive({
      precision: { kind: 'fp16' },
      destination: { modelsFolder: join(folder.path, 'models'), name: 'three-fp16' },
    });
    expect(report.agreement).toMatchObject({ top1: 1, verdictFlips: [] });
    expect(report.bytes.derived).toBeLessThan(0.6 * report.bytes.float);
    expect((await loadModel(report.written as string)).manifest.derived?.precision).toBe('fp16');
  });

  it('takes the calibration of the same images again, and says so', async () => {
    const messages: string[] = [];
    const request = {
      precision: { ...INT8, target: 'gpu', calibrator: { kind: 'entropy' } },
      onProgress: (message: string) => void messages.push(message),
    } as const;
    const kept = () => readdir(join(model.modelPath, '..', 'calibration')).catch(() => []);
    const before = (await kept()).length;
    const first = await derive(request);
    expect(messages.join('\n')).not.toMatch(/is taken from/);
    expect(await kept()).toHaveLength(before + 1);
    const again = await derive(request);
    expect(messages.join('\n')).toMatch(
      /calibration of these images is taken from .*calibration\/[0-9a-f]{16}\.json/,
    );
    expect(await kept()).toHaveLength(before + 1);
    const bytesOf = async ({ written }: DeriveReport) => readFile(join(written as string, 'three-int8.onnx'));
    expect(again.agreement).toEqual(first.agreement);
    expect(await bytesOf(again)).toEqual(await bytesOf(first));
  });

  it('is not written where it does not agree', async () => {
    const { written } = await derive({
      force: false,
      // More than all of them cannot be.
      minTop1: 1.01,
      destination: { modelsFolder: join(folder.path, 'models'), name: 'never' },
    });
    expect(written).toBeUndefined();
    await expect(loadModel(join(folder.path, 'models', 'never'))).rejects.toThrow(/cannot be read/);
  });

  it('leaves the layers float that cost most, where it does not agree otherwise', async () => {
    const messages: string[] = [];
    const { quantization } = await derive({
      minTop1: 1.01,
      precision: { ...INT8, floatLayers: 'auto' },
      onProgress: (message) => void messages.push(message),
    });
    // Nothing is enough here: it tried, and left none out.
    expect(messages.join('\n')).toMatch(/looking for the layers that cost most\n {2}1 of them in float/);
    expect(quantization).toMatchObject({ layers: 3, floatLayers: [] });
    const named = await derive({ precision: { ...INT8, floatLayers: ['Relu_0'] } }).catch(String);
    expect(named).toMatch(/--float-layers: there is no layer "Relu_0": the model has/);
  });

  describe('is refused', () => {
    it('without images', async () => {
      const empty = join(folder.path, 'empty');
      await mkdir(empty);
      await expect(derive({ imagesFolder: empty })).rejects.toThrow(
        /expected at least 8 images in ".*empty", and found 0: pass a folder of 500 or more/,
      );
      await expect(derive({ imagesFolder: join(folder.path, 'nowhere') })).rejects.toThrow(
        /there is no image or folder/,
      );
    });

    it('of a model that has it already', async () => {
      const { written } = await derive();
      const int8 = await loadModel(written as string);
      await expect(
        derive({ model: int8, destination: { modelsFolder: folder.path, name: 'twice' } }),
      ).rejects.toThrow('"three-int8" is in int8 already, made of "three": pass that model instead');
      const { derived: _, ...manifest } = int8.manifest;
      await expect(derive({ model: { ...int8, manifest } })).rejects.toThrow(
        /computes on integers already \(its node QuantizeLinear/,
      );
    });

    it('of a model without weights', async () => {
      const { folder: plain } = await importModel({
        path: await putModel(folder.path, meansModel(), 'means.onnx'),
        wishes: { resize: { mode: 'squash' }, scale: 1, decode: 'scores', labels: ['a', 'b', 'c'] },
        modelsFolder: join(folder.path, 'models'),
        force: false,
        maxSecondsPerRun: 30,
      });
      await expect(derive({ model: await loadModel(plain) })).rejects.toThrow(
        '"means" has nothing to quantize: expected Conv, Gemm or MatMul with float32 weights',
      );
    });

    it('over a model that is there', async () => {
      await derive();
      await expect(derive({ force: false })).rejects.toThrow(/there is a model at .* already/);
    });
  });

  it('is one command: exit code 1 and no model where too few labels stay, 2 where it is asked wrongly', async () => {
    const quantize = (...flags: string[]) =>
      sluice(
        'models',
        'quantize',
        join(folder.path, 'models', 'three'),
        ...['--calibration', images, '--name', 'from-command', ...flags],
      ).result;
    const made = await quantize('--for', 'cpu', '--min-top1', '0.5', '--json');
    expect(made.exitCode, made.stderr).toBe(0);
    expect(JSON.parse(made.stdout)).toMatchObject({ precision: 'int8', heldOut: false });
    // Half of all values cut off: that costs labels.
    const cut = ['--calibrator', 'percentile', '--percentile', '50', '--float-layers', 'none'];
    const bad = await quantize('--name', 'bad', ...cut, '--min-top1', '1');
    expect(bad.exitCode, bad.stdout).toBe(1);
    expect(bad.stderr).toMatch(/of the images keep their best label \(at least 100 %\): nothing was written/);
    const unknown = await quantize('--calibrator', 'mse');
    expect(unknown.exitCode).not.toBe(0);
    expect(unknown.stderr).toMatch(/Allowed choices are entropy, percentile, max/);
    const wrong = await quantize('--calibrator', 'max', '--percentile', '99');
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stderr).toContain('--percentile belongs to --calibrator percentile');
    const half = await sluice(
      'models',
      'to-fp16',
      join(folder.path, 'models', 'three'),
      ...['--images', images, '--out', join(folder.path, 'other')],
    ).result;
    expect(half.exitCode, half.stderr).toBe(0);
    expect(half.stdout).toMatch(/best label {3}agrees for 100.0 %/);
    expect(half.stdout).toMatch(/written to .*three-fp16/);
  });
});
