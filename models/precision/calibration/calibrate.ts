import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { clone, toBinary } from '@bufbuild/protobuf';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import type { Tensor } from '#core/ports/engine.ts';
import { valueInfo } from '#models/import/prepare-graph.ts';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataType,
} from '#models/onnx/generated/onnx_pb.js';
import type { ReferenceImage } from '#models/verify/references.ts';
import { batchOf } from '#models/verify/run-model.ts';
import { channelGroups } from '../channel-groups.ts';
import { type ChannelFactors, channelFactors, equalizeChannels } from '../equalize-channels.ts';
import { type Calibrator, thresholdOf } from './calibrators.ts';
import { ChannelExtentsCollector } from './channel-extents.ts';
import { type ChannelMeans, ChannelMeansCollector } from './channel-means.ts';
import { MagnitudeCollector } from './magnitudes.ts';
import { type Quantization, quantizationOf, type Target } from './quantization.ts';

const MAX_SECONDS_PER_RUN = 120;

export interface CalibrationRun {
  /** The float model, whose channels are equalized. */
  readonly model: ModelProto;
  readonly manifest: ModelManifest;
  readonly images: readonly ReferenceImage[];
  /** Values that integers are to stand for. */
  readonly activations: readonly string[];
  /** Those of them whose zero point biases take in. */
  readonly absorbed: { has(name: string): boolean };
  /** Inputs of layers, whose channels are averaged. */
  readonly layerInputs: readonly string[];
  readonly calibrator: Calibrator;
  readonly target: Target;
  /** Each image is run three times: to learn the extents of channels, then ranges, and then what rounding to them does. */
  readonly onImage?: ((run: number, runs: number) => void) | undefined;
}

/** What was learnt of a model's values over images. */
export interface Calibration {
  /** What its channels were multiplied by. */
  readonly factors: ChannelFactors;
  readonly ranges: ReadonlyMap<string, Quantization>;
  readonly channels: ReadonlyMap<string, ChannelMeans>;
}

/** Runs the float model over images, equalizes its channels, and chooses the integers of each activation. Changes `model`. */
export async function calibrate(run: CalibrationRun): Promise<Calibration> {
  const { images, activations, absorbed, layerInputs, calibrator, target, onImage } = run;
  const graph = run.model.graph as GraphProto;
  const runs = 3 * images.length;
  const values = channelGroups(graph).flatMap((group) => [...group.values]);
  const extents = new Map(values.map((name) => [name, new ChannelExtentsCollector()]));
  await observe(run, extents, (done) => onImage?.(done, runs));
  const factors = channelFactors(graph, extents);
  equalizeChannels(graph, factors);
  const seen = new Map(activations.map((name) => [name, new MagnitudeCollector()]));
  await observe(run, seen, (done) => onImage?.(images.length + done, runs));
  const ranges = new Map(
    [...seen].map(([name, magnitudes]) => [
      name,
      quantizationOf(magnitudes, thresholdOf(magnitudes, calibrator), target, absorbed.has(name)),
    ]),
  );
  const channels = new Map(layerInputs.map((name) => [name, new ChannelMeansCollector(ranges.get(name))]));
  await observe(run, channels, (done) => onImage?.(2 * images.length + done, runs));
  return { factors, ranges, channels };
}

interface Collector {
  add(values: Float32Array, shape: readonly number[]): void;
}

/** Gives each collector its value of every image. */
async function observe(
  { model, manifest, images }: CalibrationRun,
  collectors: ReadonlyMap<string, Collector>,
  onImage: (done: number) => void,
): Promise<void> {
  if (collectors.size === 0) return;
  const folder = await mkdtemp(join(tmpdir(), 'sluice-calibrate-'));
  try {
    const modelPath = join(folder, 'observed.onnx');
    await writeFile(modelPath, toBinary(ModelProtoSchema, observed(model, [...collectors.keys()])));
    // In a thread, which hands its outputs over without a copy: they are all of a network's values.
    await using engine = await OnnxEngine.load({
      modelPath,
      provider: 'cpu',
      threads: Math.min(4, availableParallelism()),
      maxBatch: 1,
      maxSecondsPerRun: MAX_SECONDS_PER_RUN,
    });
    // The next image runs while this one is counted.
    const start = (image: ReferenceImage | undefined) => image && engine.run(batchOf(manifest, [image]));
    let running = start(images[0]);
    for (let i = 0; i < images.length; i++) {
      const outputs = (await running) as Readonly<Record<string, Tensor>>;
      running = start(images[i + 1]);
      // Awaited in the next round; without this line, one that fails before then would end the process.
      running?.catch(() => undefined);
      for (const [name, collector] of collectors) {
        const { data, shape } = outputs[name] as Tensor;
        collector.add(data as Float32Array, shape);
      }
      onImage(i + 1);
    }
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
