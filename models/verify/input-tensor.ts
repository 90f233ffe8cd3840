import { SluiceError } from '#core/error.ts';
import type { Size } from '#core/geometry.ts';
import type { ModelManifest, Prepared } from '#core/model-manifest.ts';
import type { NpyArray } from '#core/npy.ts';

/**
 * The input of the model as it was before import, from uint8 RGB `[N, H, W, 3]`: (level · scale − mean) / std,
 * as float32 in the model's layout and channel order.
 */
export function toInput(levels: Uint8Array, prepared: Prepared, size: Size): Float32Array<ArrayBuffer> {
  const { scale, mean, std } = prepared;
  return convert(levels.length, prepared, size, (into, at, from, channel) => {
    into[at] = ((levels[from] as number) * scale - (mean[channel] as number)) / (std[channel] as number);
  });
}

/**
 * Levels (0–255, RGB `[N, H, W, 3]`, not rounded) from a tensor that training code saved: the model's own input, or
 * uint8 RGB `[N, H, W, 3]` as it was before scaling.
 *
 * @throws SluiceError `config-invalid` where the tensor has another shape.
 */
export function toLevels(reference: NpyArray, manifest: ModelManifest, images: number): Float32Array {
  const { heightPx, widthPx } = manifest.preprocess;
  const { prepared } = manifest;
  const { shape } = reference;
  const batched = images === 1 && shape.length === 3 ? [1, ...shape] : shape;
  const nhwc = [images, heightPx, widthPx, 3];
  if (reference.dtype === 'uint8' || prepared === undefined) {
    expectShape(batched, nhwc, 'uint8 RGB');
    return Float32Array.from(reference.data);
  }
  const nchw = [images, 3, heightPx, widthPx];
  expectShape(batched, prepared.layout === 'nchw' ? nchw : nhwc, `the model's input`);
  const { scale, mean, std } = prepared;
  return convert(reference.data.length, prepared, manifest.preprocess, (into, at, from, channel) => {
    const value = reference.data[at] as number;
    into[from] = (value * (std[channel] as number) + (mean[channel] as number)) / scale;
  });
}

/** Visits each value by its place in the model's tensor (`at`) and in RGB `[N, H, W, 3]` (`from`). */
function convert(
  length: number,
  prepared: Prepared,
  { widthPx, heightPx }: Size,
  visit: (into: Float32Array<ArrayBuffer>, at: number, from: number, channel: number) => void,
): Float32Array<ArrayBuffer> {
  const into = new Float32Array(length);
  const pixels = widthPx * heightPx;
  const [perPixel, perChannel] = prepared.layout === 'nchw' ? [1, pixels] : [3, 1];
  for (let start = 0; start < length; start += 3 * pixels) {
    for (let channel = 0; channel < 3; channel++) {
      const colour = prepared.channelOrder === 'bgr' ? 2 - channel : channel;
      for (let pixel = 0; pixel < pixels; pixel++)
        visit(into, start + pixel * perPixel + channel * perChannel, start + pixel * 3 + colour, channel);
    }
  }
  return into;
}

function expectShape(got: readonly number[], expected: readonly number[], what: string): void {
  if (got.join() === expected.join()) return;
  throw new SluiceError(
    'config-invalid',
    `expected a reference tensor [${expected.join(', ')}] (${what}, one for each image), got [${got.join(', ')}]`,
  );
}
