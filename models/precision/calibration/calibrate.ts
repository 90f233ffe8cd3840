import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { clone, toBinary } from '@bufbuild/protobuf';
import { IsolatedEngine } from '#adapters/isolated-engine.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import { valueInfo } from '#models/import/prepare-graph.ts';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataType,
} from '#models/onnx/generated/onnx_pb.js';
import type { ReferenceImage } from '#models/verify/references.ts';
import { batchOf } from '#models/verify/run-model.ts';
import { MagnitudeCollector, type Magnitudes } from './magnitudes.ts';

const MAX_SECONDS_PER_RUN = 120;

export interface CalibrationRun {
  /** The float model: the values become its outputs. */
  readonly model: ModelProto;
  readonly manifest: ModelManifest;
  readonly images: readonly ReferenceImage[];
  /** The float32 values to look at. */
  readonly values: readonly string[];
  readonly onImage?: ((done: number) => void) | undefined;
}

/** Runs the float model over images, one by one, and collects what each of the values is made of. */
export async function collectMagnitudes(run: CalibrationRun): Promise<ReadonlyMap<string, Magnitudes>> {
  const { manifest, images, values, onImage } = run;
  const folder = await mkdtemp(join(tmpdir(), 'sluice-calibrate-'));
  try {
    const modelPath = join(folder, 'observed.onnx');
    await writeFile(modelPath, toBinary(ModelProtoSchema, observed(run.model, values)));
    await using engine = await IsolatedEngine.load({
      modelPath,
      provider: 'cpu',
      threads: Math.min(4, availableParallelism()),
      maxBatch: 1,
      maxSecondsPerRun: MAX_SECONDS_PER_RUN,
    });
    const collectors = new Map(values.map((name) => [name, new MagnitudeCollector()]));
    // The next image runs while this one is counted.
    const start = (image: ReferenceImage | undefined) => image && engine.run(batchOf(manifest, [image]));
    let running = start(images[0]);
    for (let i = 0; i < images.length; i++) {
      const outputs = await running;
      running = start(images[i + 1]);
      // Awaited in the next round; without this line, one that fails before then would end the process.
      running?.catch(() => undefined);
      for (const [name, collector] of collectors) collector.add(outputs?.[name]?.data as Float32Array);
      onImage?.(i + 1);
    }
    return collectors;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The model with these values as its outputs, and no others. */
function observed(model: ModelProto, values: readonly string[]): ModelProto {
  const copy = clone(ModelProtoSchema, model);
  const graph = copy.graph as GraphProto;
  graph.output = values.map((name) => valueInfo(name, TensorProto_DataType.FLOAT, undefined));
  return copy;
}
