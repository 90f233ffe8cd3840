import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { loadManifest } from '#adapters/model-folder.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { type BuiltEngine, EngineRecipe } from '#core/engine-artifact.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { loadTensorRtEngine } from '#workers/engine/load-engine.ts';

/** An engine with these inputs, as somebody published it. */
function published(inputs: readonly string[]): BuiltEngine {
  const bytes = Buffer.from('no engine at all');
  const facts = (file: string) => ({ file, bytes: bytes.length, sha256: sha256Hex(bytes) });
  return {
    manifest: {
      schema: 1,
      recipe: EngineRecipe.parse({
        model: 'quality',
        modelSha256: 'a'.repeat(64),
        precision: 'fp16',
        batch: { min: 1, opt: 8, max: 8 },
        computeCapability: '7.5',
        tensorrt: '10.15.1',
        cuda: '13.0',
        onnxruntime: '1.30.0',
        builderFlags: [],
      }),
      engine: facts('model.engine'),
      wrapper: facts('model.onnx'),
      inputs: inputs.map((name) => ({ name, dtype: 'uint8', shape: [null, 128, 128, 3] })),
      outputs: [{ name: 'scores', dtype: 'float32', shape: [null, 5] }],
      builtAt: '2026-11-21T00:00:00.000Z',
      buildSeconds: 1,
    },
    engine: bytes,
    wrapper: bytes,
  };
}

const GPU = { deviceId: 0, batchSize: 8, sessions: 2, maxSecondsPerRun: 60 };

describe('loading a TensorRT engine', () => {
  it('is refused where its tensors have other names than the model: ONNX Runtime would bind the wrong ones', async () => {
    await using folder = await temporaryFolder();
    const manifest = await loadManifest('quality');
    await expect(loadTensorRtEngine(published(['pixels']), manifest, folder.path, GPU)).rejects.toMatchObject(
      {
        code: 'model-invalid',
        message: expect.stringMatching(/the engine has the inputs pixels; .* names content_size, images/),
      },
    );
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('fails in words where ONNX Runtime does not take it, and leaves whole files only', async () => {
    await using folder = await temporaryFolder();
    const manifest = await loadManifest('quality');
    const built = published(['images', 'content_size']);
    await expect(loadTensorRtEngine(built, manifest, folder.path, GPU)).rejects.toMatchObject({
      code: 'model-invalid',
      message: expect.stringMatching(/provider "tensorrt"/),
    });
    const [engine] = await readdir(folder.path);
    expect((await readdir(`${folder.path}/${engine}`)).sort()).toEqual(['model.engine', 'model.onnx']);
  });
});
