import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { IsolatedEngine } from '#adapters/isolated-engine.ts';
import { readOutputs } from '#core/decode/read-outputs.ts';
import { SluiceError } from '#core/error.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import { importModel } from '#models/import/import-model.ts';
import { TensorProto_DataLocation } from '#models/onnx/generated/onnx_pb.js';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { changed, putModel, singleImageModel } from '#test/support/tiny-models.ts';

const bad = sharedFolder('models', 'bad');

/** What import says of a file. */
async function refusal(path: string): Promise<SluiceError> {
  await using folder = await temporaryFolder();
  const error = await importModel({
    path,
    wishes: { widthPx: undefined },
    preset: 'zero-one',
    modelsFolder: folder.path,
    force: false,
    maxSecondsPerRun: 5,
  }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SluiceError);
  return error as SluiceError;
}

describe.skipIf(bad === undefined)(`every bad model ${bad ? '' : NEEDS_SHARED}`, () => {
  it.each([
    ['bitflip.onnx', /cannot be read as ONNX .* damaged/],
    ['dynamic_all.onnx', /inputs of any size: pass --input-size/],
    ['empty.onnx', /is empty/],
    ['external_data_missing.onnx', /weights "w" lie in "weights.bin", which is missing/],
    ['hangs_at_run.onnx', /expected an image input .* got "x" float \[1\]/],
    ['lfs_pointer.onnx', /is a Git LFS pointer/],
    ['opset_99.onnx', /has opset 99, and ONNX Runtime reads up to \d+/],
    ['outputs_nan.onnx', /score "class_0" of image 0 in the batch is NaN/],
    ['truncated.onnx', /ends in the middle: it was cut off/],
    ['two_inputs.onnx', /one input, the images; it has 2: "x" .*, "w"/],
    ['unknown_op.onnx', /operator "NoSuchOp"/],
  ])('is refused for what it is: %s', async (file, reason) => {
    expect((await refusal(join(bad as string, file))).message).toMatch(reason);
  });

  it('is refused when its trial run fails: runtime_shape_error.onnx', async () => {
    await using folder = await temporaryFolder();
    const importing = importModel({
      path: join(bad as string, 'runtime_shape_error.onnx'),
      wishes: { widthPx: 16, heightPx: 16 },
      preset: 'zero-one',
      modelsFolder: folder.path,
      force: false,
      maxSecondsPerRun: 5,
    });
    await expect(importing).rejects.toThrow(/trial run .* cannot be reshaped/);
  });

  it('is stopped when it never ends, and tells so again at once: hangs_at_run.onnx', async () => {
    await using engine = await IsolatedEngine.load({
      modelPath: join(bad as string, 'hangs_at_run.onnx'),
      provider: 'cpu',
      threads: 1,
      maxBatch: 1,
      maxSecondsPerRun: 1,
    });
    const batch = () => ({ x: { dtype: 'float32', shape: [1], data: Float32Array.of(1) } as const });
    const stopped = /did not end within 1 s on a batch of 1, and was stopped/;
    await expect(engine.run(batch())).rejects.toThrow(stopped);
    await expect(engine.run(batch())).rejects.toThrow(stopped);
  });

  it('never makes NaN a score at run time either: outputs_nan.onnx', async () => {
    await using engine = await IsolatedEngine.load({
      modelPath: join(bad as string, 'outputs_nan.onnx'),
      provider: 'cpu',
      threads: 1,
      maxBatch: 1,
      maxSecondsPerRun: 30,
    });
    const data = new Float32Array(3 * 224 * 224);
    const outputs = await engine.run({ x: { dtype: 'float32', shape: [1, 3, 224, 224], data } });
    const manifest = { outputs: [{ name: 'y', decode: 'softmax', labels: ['a', 'b', 'c'] }] } as unknown;
    expect(() => readOutputs(outputs, manifest as ModelManifest, [{ widthPx: 1, heightPx: 1 }])).toThrow(
      /score "a" of image 0 in the batch is NaN/,
    );
  });
});

describe('weights outside the file', () => {
  const weighted = (location: string): Uint8Array =>
    changed(
      singleImageModel((g, x) => {
        const weights = g.constant('float32', [1, 3, 1, 1], [1, 2, 3]);
        return g.node('ReduceMean', [g.node('Mul', [x, weights])], { axes: [2, 3], keepdims: 0 });
      }),
      (model) => {
        const [weights] = model.graph!.initializer;
        weights!.rawData = new Uint8Array();
        weights!.dataLocation = TensorProto_DataLocation.EXTERNAL;
        const entry = (key: string, value: string) =>
          ({ $typeName: 'onnx.StringStringEntryProto', key, value }) as const;
        weights!.externalData = [entry('location', location), entry('offset', '4'), entry('length', '12')];
      },
    );
  const DATA = Buffer.concat([Buffer.alloc(4), Buffer.from(Float32Array.of(1, 2, 3).buffer)]);

  it('are taken in from the folder of the model', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'weights.bin'), DATA);
    const { manifest } = await importModel({
      path: await putModel(folder.path, weighted('weights.bin')),
      wishes: { decode: 'scores' },
      preset: 'zero-one',
      modelsFolder: join(folder.path, 'models'),
      force: false,
      maxSecondsPerRun: 30,
    });
    expect(manifest.outputs[0]).toMatchObject({ decode: 'scores' });
  });

  it.each([
    ['a path that leads out', () => '../weights.bin'],
    ['an absolute path', (outside: string) => join(outside, 'weights.bin')],
    ['a path of Windows', () => 'C:\\weights.bin'],
    ['a link that leads out', () => 'link.bin'],
  ])('are refused by %s', async (_, location) => {
    await using outside = await temporaryFolder();
    await writeFile(join(outside.path, 'weights.bin'), DATA);
    const inside = join(outside.path, 'model');
    await mkdir(inside);
    await symlink('../weights.bin', join(inside, 'link.bin'));
    const { message } = await refusal(await putModel(inside, weighted(location(outside.path))));
    expect(message).toMatch(/outside the model's folder: that is refused/);
  });

  it('are refused where their file is too short', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'weights.bin'), DATA.subarray(0, 12));
    const { message } = await refusal(await putModel(folder.path, weighted('weights.bin')));
    expect(message).toMatch(/bytes 4 to 16 of "weights.bin", which has 12/);
  });
});
