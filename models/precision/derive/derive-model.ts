import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import type { LoadedModel } from '#adapters/model-folder.ts';
import type { Scores } from '#core/decode/classification.ts';
import type { Derived } from '#core/model-manifest.ts';
import { type ModelProto, ModelProtoSchema } from '#models/onnx/generated/onnx_pb.js';
import { scoresOfPrepared } from '#models/verify/run-model.ts';
import { toFp16 } from '../to-fp16.ts';
import { type Agreement, agreementOf } from './compare-models.ts';
import { floatGraph } from './float-graph.ts';
import { type QuantizeOptions, quantizeGraph } from './quantize-graph.ts';
import { heldOut, type SampledImage, sampleImages } from './sample-images.ts';
import { type Timing, timeModels } from './time-models.ts';
import { checkDestination, type Destination, writeDerived } from './write-derived.ts';

export interface DeriveRequest {
  readonly model: LoadedModel;
  /** A folder of images: int8 is fitted to a part of them, and every precision checked with the rest. */
  readonly imagesFolder: string;
  readonly maxImages: number;
  /** Of the share of images with the same best label: below it nothing is written. */
  readonly minTop1: number;
  /** Write it all the same. */
  readonly force: boolean;
  readonly destination: Omit<Destination, 'force'>;
  readonly precision: { readonly kind: 'fp16' } | ({ readonly kind: 'int8' } & QuantizeOptions);
  readonly onProgress?: ((message: string) => void) | undefined;
}

export interface DeriveReport {
  readonly precision: Derived['precision'];
  readonly quantization: (NonNullable<Derived['quantization']> & { readonly layers: number }) | undefined;
  /** Files of the folder that are no image. */
  readonly skipped: readonly string[];
  /** Whether calibration had not seen the images that were compared. */
  readonly heldOut: boolean;
  readonly agreement: Agreement;
  readonly minTop1: number;
  readonly bytes: { readonly float: number; readonly derived: number };
  readonly timing: Timing;
  /** The folder that was written; `undefined` where the agreement is not enough. */
  readonly written: string | undefined;
}

/**
 * Makes a model of lower precision, compares it with the one that it is made of, and writes it into a folder of its own
 * where the two agree.
 *
 * @throws SluiceError `config-invalid` or `model-invalid` where it cannot be made.
 */
export async function deriveModel(request: DeriveRequest): Promise<DeriveReport> {
  const { model, precision, force, minTop1, onProgress } = request;
  const destination = { ...request.destination, force };
  await checkDestination(destination);
  const scratch = await mkdtemp(join(tmpdir(), 'sluice-precision-'));
  try {
    const graph = await floatGraph(model, scratch);
    const sample = await sampleImages(
      request.imagesFolder,
      model.manifest.preprocess,
      request.maxImages,
      (done, of) => done % 50 === 0 && onProgress?.(`reading images: ${done} of up to ${of}`),
    );
    // Nothing is fitted for float16: all images are new to it.
    const { calibration, test, isHeldOut } =
      precision.kind === 'fp16'
        ? { calibration: [], test: sample.images, isHeldOut: true }
        : heldOut(sample.images);
    const candidate = { ...model, modelPath: join(scratch, 'derived.onnx') };
    const floatScores = await scoresOfPrepared(model, sample.images);
    const expected = new Map(sample.images.map((image, i) => [image, floatScores[i] as Scores]));
    const compare = async (made: ModelProto, images: readonly SampledImage[]): Promise<Agreement> => {
      await writeFile(candidate.modelPath, toBinary(ModelProtoSchema, made));
      const scores = await scoresOfPrepared(candidate, images);
      const wanted = images.map((image) => expected.get(image) as Scores);
      return agreementOf(model.manifest, images, wanted, scores);
    };
    const made =
      precision.kind === 'fp16'
        ? { model: toFp16(graph), quantization: undefined, layers: 0 }
        : await quantizeGraph(model, graph, calibration, precision, {
            minTop1,
            compare,
            onProgress,
          });
    onProgress?.(`comparing on ${test.length} images`);
    const agreement = await compare(made.model, test);
    const timing = await timeModels(model, candidate, test);
    const onnx = toBinary(ModelProtoSchema, made.model);
    const isEnough = agreement.top1 >= minTop1 || force;
    const derived: Omit<Derived, 'from'> = {
      precision: precision.kind,
      ...(made.quantization && { quantization: made.quantization }),
      agreement: {
        images: agreement.images,
        heldOut: isHeldOut,
        top1: agreement.top1,
        maxScoreDifference: agreement.maxDifference,
        verdictFlips: agreement.verdictFlips.length,
      },
    };
    return {
      precision: precision.kind,
      quantization: made.quantization && { ...made.quantization, layers: made.layers },
      skipped: sample.skipped,
      heldOut: isHeldOut,
      agreement,
      minTop1,
      bytes: { float: (await stat(model.modelPath)).size, derived: onnx.length },
      timing,
      written: isEnough ? await writeDerived(model, destination, onnx, derived) : undefined,
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
