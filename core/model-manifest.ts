import { z } from 'zod';
import { Policy } from './policy.ts';
import { PreprocessSpec } from './preprocess-spec.ts';

const Name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]*$/, 'expected lower-case letters, digits, ".", "_" or "-"');

/** What a model input is fed with. */
const ModelInput = z.strictObject({
  name: z.string().min(1),
  /**
   * `pixels`: uint8 `[N, height, width, 3]`, the pack's tensor.
   * `content-size`: int32 `[N, 2]`, (height, width) in pixels of the picture inside the tensor, without padding.
   */
  from: z.enum(['pixels', 'content-size']),
});

/** A float32 output `[N, labels.length]`, each column one named score. */
const ModelOutput = z.strictObject({
  name: z.string().min(1),
  decode: z.literal('scores'),
  labels: z.array(z.string().regex(/^[a-z][a-z0-9_]*$/, 'expected snake_case')).min(1),
});

/** `models/<name>/model.json`: all that is needed to run a model and to reproduce its scores. */
export const ModelManifest = z.strictObject({
  schema: z.literal(1),
  name: Name,
  description: z.string(),
  license: z.string(),
  source: z.string(),
  /** The ONNX file, beside the manifest. */
  file: z.string().regex(/^[^/\\]+\.onnx$/, 'expected the name of an .onnx file beside the manifest'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits'),
  preprocess: PreprocessSpec,
  inputs: z.array(ModelInput).min(1),
  outputs: z.array(ModelOutput).min(1),
  policy: Policy,
});
export type ModelManifest = z.infer<typeof ModelManifest>;

/** The names of all scores of a model, in the order of its outputs. */
export function scoreNames(manifest: ModelManifest): string[] {
  return manifest.outputs.flatMap((output) => output.labels);
}
