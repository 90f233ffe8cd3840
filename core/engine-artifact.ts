import { z } from 'zod';
import { shortHashOf } from './canonical-json.ts';

/** What a model computes in. `int8`: as a graph says that was quantized before, with float32 where it is not. */
export const Precision = z.enum(['fp32', 'fp16', 'int8']);
export type Precision = z.infer<typeof Precision>;

/** Batch sizes that a TensorRT engine takes (`min` to `max`) and is tuned for (`opt`). */
const BatchProfile = z
  .strictObject({ min: z.int().min(1), opt: z.int().min(1), max: z.int().min(1) })
  .refine(({ min, opt, max }) => min <= opt && opt <= max, 'expected min ≤ opt ≤ max');

/**
 * All that a TensorRT engine depends on: a file that was built for one of these runs for no other. Two workers with the
 * same recipe share an engine, and a change of any of them asks for a new one.
 */
export const EngineRecipe = z.strictObject({
  model: z.string().min(1),
  modelSha256: z.string().regex(/^[0-9a-f]{64}$/),
  precision: Precision,
  batch: BatchProfile,
  /** Of the GPU, as "7.5" for a T4. */
  computeCapability: z.string().regex(/^\d+\.\d+$/),
  /** The full version: engines are not portable between builds. */
  tensorrt: z.string().regex(/^\d+\.\d+\.\d+/),
  /** Of CUDA's runtime library, as exactly as its file tells. */
  cuda: z.string().min(1),
  onnxruntime: z.string().min(1),
  /** What else the builder was told. */
  builderFlags: z.array(z.string()),
});
export type EngineRecipe = z.infer<typeof EngineRecipe>;

const TensorFacts = z.strictObject({
  name: z.string().min(1),
  dtype: z.string(),
  /** `null` is the batch. */
  shape: z.array(z.int().min(1).nullable()),
});

const FileFacts = z.strictObject({
  file: z.string().regex(/^[a-z0-9.-]+$/),
  bytes: z.int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** What is published of an engine, last: where it lies, the engine is whole. */
export const EngineManifest = z.strictObject({
  schema: z.literal(1),
  recipe: EngineRecipe,
  engine: FileFacts,
  /** The ONNX model that is the engine, for ONNX Runtime. */
  wrapper: FileFacts,
  inputs: z.array(TensorFacts).min(1),
  outputs: z.array(TensorFacts).min(1),
  builtAt: z.iso.datetime(),
  buildSeconds: z.number().min(0),
});
export type EngineManifest = z.infer<typeof EngineManifest>;

/** A built engine, in memory. */
export interface BuiltEngine {
  readonly manifest: EngineManifest;
  readonly engine: Buffer;
  readonly wrapper: Buffer;
}

/** Where the engine of a recipe lies in a store. Ends in "/". */
export function engineFolder(recipe: EngineRecipe): string {
  const { model, precision, computeCapability } = recipe;
  const readable = `sm${computeCapability.replace('.', '')}-${precision}`;
  return `engines/${model}/${readable}-${shortHashOf(recipe)}/`;
}
