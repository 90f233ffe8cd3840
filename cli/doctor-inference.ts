import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine, type OnnxProvider } from '#adapters/onnx-engine.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import type { EngineBatch } from '#core/ports/engine.ts';
import { buildEngine } from '#models/gpu/build-engine.ts';
import { GraphBuilder } from '#models/onnx/graph-builder.ts';
import { recipeHere } from './engine-recipe.ts';

type Env = Readonly<Record<string, string | undefined>>;

/**
 * A timed inference on a provider: of the built-in model, and on TensorRT of a small engine that is built first.
 *
 * @returns what was seen. @throws what says why the provider does not work.
 */
export async function tryInference(provider: OnnxProvider, env: Env): Promise<string> {
  return provider === 'tensorrt' ? onTensorRt(env) : onBuiltInModel(provider);
}

async function onBuiltInModel(provider: OnnxProvider): Promise<string> {
  const { modelPath, manifest } = await loadModel('quality');
  await using engine = await OnnxEngine.load({ modelPath, provider, threads: 1, maxBatch: 1 });
  const { widthPx, heightPx } = manifest.preprocess;
  return await timed(engine, {
    images: {
      dtype: 'uint8',
      shape: [1, heightPx, widthPx, 3],
      data: new Uint8Array(heightPx * widthPx * 3),
    },
    content_size: { dtype: 'int32', shape: [1, 2], data: Int32Array.of(heightPx, widthPx) },
  });
}

const SIDE_PX = 32;

async function onTensorRt(env: Env): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-doctor-'));
  try {
    const bytes = oneConvolution();
    const modelPath = join(folder, 'model.onnx');
    await writeFile(modelPath, bytes);
    const recipe = await recipeHere(
      { manifest: { name: 'doctor', sha256: sha256Hex(bytes), derived: undefined } },
      { precision: 'fp16', batch: { min: 1, opt: 1, max: 1 }, deviceId: 0, builderFlags: [] },
      env,
    );
    const { manifest, ...files } = await buildEngine({ modelPath, recipe, trtexec: 'trtexec' });
    const wrapperPath = join(folder, `built-${manifest.wrapper.file}`);
    await writeFile(wrapperPath, files.wrapper);
    await writeFile(join(folder, manifest.engine.file), files.engine);
    await using engine = await OnnxEngine.load({
      modelPath: wrapperPath,
      provider: 'tensorrt',
      threads: 1,
      maxBatch: 1,
    });
    const seen = await timed(engine, {
      pixels: {
        dtype: 'uint8',
        shape: [1, SIDE_PX, SIDE_PX, 3],
        data: new Uint8Array(SIDE_PX * SIDE_PX * 3),
      },
    });
    return `an engine of one convolution, built in ${manifest.buildSeconds.toFixed(1)} s: ${seen}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function timed(engine: OnnxEngine, batch: EngineBatch): Promise<string> {
  const startedMs = performance.now();
  await engine.run(batch);
  const ms = (performance.now() - startedMs).toFixed(1);
  const placed = Object.entries(engine.placement ?? {}).map(([name, nodes]) => `${nodes} nodes on ${name}`);
  return [`one image in ${ms} ms`, ...placed].join(', ');
}

/** Input `pixels` uint8 `[N, 32, 32, 3]`, output `means` float32 `[N, 8]`. */
function oneConvolution(): Uint8Array {
  const g = new GraphBuilder('doctor', 17);
  const pixels = g.input('pixels', 'uint8', ['N', SIDE_PX, SIDE_PX, 3]);
  const planes = g.node('Transpose', [g.node('Cast', [pixels], { to: 1 })], { perm: [0, 3, 1, 2] });
  const weights = Array.from({ length: 8 * 3 * 3 * 3 }, (_, i) => (i % 7) / 100);
  const convolved = g.node('Conv', [planes, g.constant('float32', [8, 3, 3, 3], weights)], {
    kernel_shape: [3, 3],
    pads: [1, 1, 1, 1],
  });
  const means = g.node('Flatten', [g.node('GlobalAveragePool', [convolved])], { axis: 1 });
  g.output('means', 'float32', ['N', 8], means);
  return g.toBytes();
}
