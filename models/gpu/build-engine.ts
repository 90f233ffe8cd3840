import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clone, toBinary } from '@bufbuild/protobuf';
import { foldConstants } from '#adapters/fold-constants.ts';
import { buildWithTrtexec } from '#adapters/trtexec.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import type { BuiltEngine, EngineRecipe } from '#core/engine-artifact.ts';
import { readOnnx } from '#models/import/read-onnx.ts';
import { type GraphProto, type ModelProto, ModelProtoSchema } from '#models/onnx/generated/onnx_pb.js';
import { toFp16 } from '#models/precision/to-fp16.ts';
import { castFirst } from './cast-first.ts';
import { engineTensors } from './engine-tensors.ts';
import { epContextModel } from './ep-context.ts';

export interface BuildEngineOptions {
  /** The prepared ONNX model: uint8 in, float32 out. */
  readonly modelPath: string;
  readonly recipe: EngineRecipe;
  /** TensorRT's command. */
  readonly trtexec: string;
  /** Kept from one build to the next, where it is given: builds of like models take seconds instead of minutes. */
  readonly timingCachePath?: string;
  /** Ends the build. */
  readonly signal?: AbortSignal;
  onLine?(line: string): void;
}

/**
 * Builds a TensorRT engine on this machine's GPU, and the ONNX model that carries it.
 *
 * @throws SluiceError `model-invalid` where TensorRT does not take the model.
 */
export async function buildEngine(options: BuildEngineOptions): Promise<BuiltEngine> {
  const { modelPath, recipe, trtexec, timingCachePath, signal, onLine } = options;
  const startedMs = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'sluice-engine-'));
  try {
    const onnxPath = join(folder, 'network.onnx');
    const network = await networkOf(modelPath, recipe.precision, join(folder, 'folded.onnx'));
    await writeFile(onnxPath, toBinary(ModelProtoSchema, network));
    const { inputs, outputs } = engineTensors(network.graph as GraphProto);
    const shapesOf = (images: number) =>
      Object.fromEntries(inputs.map(({ name, shape }) => [name, shape.map((side) => side ?? images)]));
    const { min, opt, max } = recipe.batch;
    const enginePath = join(folder, 'model.engine');
    await buildWithTrtexec({
      command: trtexec,
      onnxPath,
      enginePath,
      ...(timingCachePath !== undefined && { timingCachePath }),
      shapes: { min: shapesOf(min), opt: shapesOf(opt), max: shapesOf(max) },
      flags: recipe.builderFlags,
      ...(signal && { signal }),
      ...(onLine && { onLine }),
    });
    const engine = await readFile(enginePath);
    const architecture = recipe.computeCapability.replace('.', '');
    const engineSha256 = sha256Hex(engine);
    // Named by their content: whoever builds the same again writes other files, and takes none from under a reader.
    const engineFile = `model-${engineSha256.slice(0, 16)}.engine`;
    const wrapper = Buffer.from(epContextModel({ engineFile, architecture, inputs, outputs }));
    const wrapperSha256 = sha256Hex(wrapper);
    return {
      manifest: {
        schema: 1,
        recipe,
        engine: { file: engineFile, bytes: engine.length, sha256: engineSha256 },
        wrapper: {
          file: `model-${wrapperSha256.slice(0, 16)}.onnx`,
          bytes: wrapper.length,
          sha256: wrapperSha256,
        },
        inputs: [...inputs],
        outputs: [...outputs],
        builtAt: new Date().toISOString(),
        buildSeconds: Math.round(performance.now() - startedMs) / 1000,
      },
      engine,
      wrapper,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The graph that TensorRT gets: constants folded, in the precision of the recipe, uint8 at its ends only. */
async function networkOf(
  modelPath: string,
  precision: EngineRecipe['precision'],
  foldedPath: string,
): Promise<ModelProto> {
  // A quantized graph was folded before; here ONNX Runtime would make integers of its biases, which TensorRT does not take.
  if (precision !== 'int8') await foldConstants(modelPath, foldedPath);
  const { model } = await readOnnx(precision === 'int8' ? modelPath : foldedPath);
  const network = precision === 'fp16' ? toFp16(model) : clone(ModelProtoSchema, model);
  castFirst(network.graph as GraphProto);
  // ONNX Runtime states the domains that it knows, which TensorRT does not.
  const domains = new Set(['', 'ai.onnx', ...(network.graph?.node ?? []).map((node) => node.domain)]);
  network.opsetImport = network.opsetImport.filter(({ domain }) => domains.has(domain));
  return network;
}
