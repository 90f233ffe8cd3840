import { type RgbImage, resizeAsPillow } from './pillow.ts';

/** How training code made its tensor. */
export interface Training {
  readonly shorterPx: number;
  readonly sidePx: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * What torchvision's Resize (bicubic, on Pillow images), CenterCrop, ToTensor and Normalize make of pictures, as
 * numpy.save writes it: float32 `[N, 3, side, side]`.
 */
export function referenceTensor(
  images: readonly RgbImage[],
  { shorterPx, sidePx, mean, std }: Training,
): Buffer {
  const values = new Float32Array(images.length * 3 * sidePx * sidePx);
  for (const [n, image] of images.entries()) {
    const scale = shorterPx / Math.min(image.widthPx, image.heightPx);
    const size = { widthPx: Math.trunc(image.widthPx * scale), heightPx: Math.trunc(image.heightPx * scale) };
    const { data } = resizeAsPillow(image, size);
    const left = roundHalfToEven((size.widthPx - sidePx) / 2);
    const top = roundHalfToEven((size.heightPx - sidePx) / 2);
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < sidePx; y++)
        for (let x = 0; x < sidePx; x++) {
          const level = data[((top + y) * size.widthPx + left + x) * 3 + c]!;
          values[((n * 3 + c) * sidePx + y) * sidePx + x] = (level / 255 - mean[c]!) / std[c]!;
        }
  }
  return floatNpy([images.length, 3, sidePx, sidePx], values);
}

/** Python's round. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

/** A float32 array as numpy.save writes it. */
export function floatNpy(shape: readonly number[], values: Float32Array): Buffer {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }\n`;
  const head = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  head.writeUInt16LE(header.length, 8);
  return Buffer.concat([head, Buffer.from(header), Buffer.from(values.buffer)]);
}
