import { SluiceError } from '#core/error.ts';
import type { Tensor } from '#core/ports/engine.ts';

/** What the engine gave, by output name. */
export type Outputs = Readonly<Record<string, Tensor>>;

/**
 * The float32 data of an output of `images` images.
 *
 * @param expected what to say was expected of the shape after the batch dimension.
 * @param fits whether the shape after the batch dimension is as expected.
 * @throws SluiceError `engine-failed`: a wrong output must never become a verdict.
 */
export function floatOutput(
  outputs: Outputs,
  name: string,
  images: number,
  expected: string,
  fits: (rest: readonly number[]) => boolean,
): { readonly data: Float32Array; readonly rest: readonly number[] } {
  const tensor = outputs[name];
  const rest = tensor?.shape.slice(1) ?? [];
  if (tensor?.dtype !== 'float32' || tensor.shape[0] !== images || !fits(rest)) {
    const got = tensor === undefined ? 'nothing' : `${tensor.dtype} [${tensor.shape}]`;
    throw unusable(`expected output "${name}" as float32 [${images}, ${expected}], got ${got}`);
  }
  return { data: tensor.data as Float32Array, rest };
}

export function unusable(what: string): SluiceError {
  return new SluiceError('engine-failed', `the model gave no usable scores: ${what}`);
}
