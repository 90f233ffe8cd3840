import { dirname, join } from 'node:path';
import { type LoadedModel, loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { type Agreement, agreementOf } from '#models/precision/derive/compare-models.ts';
import { sampleImages } from '#models/precision/derive/sample-images.ts';
import { scoresOfEngine, scoresOfPrepared } from '#models/verify/run-model.ts';

const MAX_IMAGES = 1000;

export interface ScoreAgreement {
  /** Of the engine with the float32 model on the CPU. */
  readonly withFloat: Agreement;
  /** Of the engine with the model that it was built from, on the CPU: what the hardware does differently. */
  readonly withItsModel: Agreement;
}

/** The scores of an engine on this machine's GPU, for pictures, beside those of its model in float32. */
export async function scoreAgreement(
  model: LoadedModel,
  wrapperPath: string,
  maxBatch: number,
  pictures: string,
): Promise<ScoreAgreement> {
  const { manifest, modelPath } = model;
  const { images } = await sampleImages(pictures, manifest.preprocess, MAX_IMAGES);
  await using engine = await OnnxEngine.load({
    modelPath: wrapperPath,
    provider: 'tensorrt',
    threads: 1,
    maxBatch,
  });
  const got = await scoresOfEngine(engine, manifest, images);
  const from = manifest.derived?.from.name;
  const own = await scoresOfPrepared(model, images);
  const float =
    from === undefined
      ? own
      : await scoresOfPrepared(await loadModel(join(dirname(dirname(modelPath)), from)), images);
  return {
    withFloat: agreementOf(manifest, images, float, got),
    withItsModel: agreementOf(manifest, images, own, got),
  };
}
