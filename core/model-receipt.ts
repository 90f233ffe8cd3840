import { z } from 'zod';
import { shortHashOf } from './canonical-json.ts';
import type { ModelManifest } from './model-manifest.ts';
import { preprocessHash } from './preprocess-spec.ts';

/** What of a receipt follows from a model: with another one of these, its scores would be other scores. */
export const ModelReceipt = z.strictObject({
  model: z.string(),
  /** Of the ONNX file that runs. */
  modelSha256: z.string(),
  /** Of the file that was imported; the same where nothing was. Empty in what earlier versions wrote. */
  originalSha256: z.string().default(''),
  preprocessHash: z.string(),
  /** See {@link decodeHash}. Empty in what earlier versions wrote. */
  decodeHash: z.string().default(''),
});
export type ModelReceipt = z.infer<typeof ModelReceipt>;

/** What a pack is meant for: with a model of another sum, or read in another way, its scores would be other scores. */
export const MeantFor = ModelReceipt.pick({ modelSha256: true, decodeHash: true });
export type MeantFor = z.infer<typeof MeantFor>;

/** Of a stage or a model, what packs are meant for. */
export function meantFor({ modelSha256, decodeHash }: MeantFor): MeantFor {
  return { modelSha256, decodeHash };
}

export function modelReceipt(manifest: ModelManifest): ModelReceipt {
  return {
    model: manifest.name,
    modelSha256: manifest.sha256,
    originalSha256: manifest.prepared?.originalSha256 ?? manifest.sha256,
    preprocessHash: preprocessHash(manifest.preprocess),
    decodeHash: decodeHash(manifest),
  };
}

/** The names of what a model is fed with and of how its outputs are read: labels, activations, a detector's thresholds. */
export function decodeHash({ inputs, outputs, detector }: ModelManifest): string {
  return shortHashOf({ inputs, outputs, detector });
}
