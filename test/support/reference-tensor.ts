import { type RgbImage, resizeAsPillow } from './pillow.ts';

/** How training code made its tensor. */
export interface Training {
  readonly shorterPx: number;
  readonly sidePx: number;
  /** Instead of both: width and height that the whole picture is squashed into. */
  readonly sidesPx?: readonly [number, number];
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * What torchvision's Resize (bicubic, on Pillow images), CenterCrop, ToTensor and Normalize make of pictures, as
 * numpy.save writes it: float32 `[N, 3, height, width]`.
 */
export function referenceTensor(
  images: readonly RgbImage[],
  { shorterPx, sidePx, sidesPx, mean, std }: Training,
): Buffer {
  const [widthPx, heightPx] = sidesPx ?? [sidePx, sidePx];
  const values = new Float32Array(images.length * 3 * heightPx * widthPx);
  for (const [n, image] of images.entries()) {
    const scale = shorterPx / Math.min(image.widthPx, image.heightPx);
    const size =
      sidesPx === undefined
        ? { widthPx: Math.trunc(image.widthPx * scale), heightPx: Math.trunc(image.heightPx * scale) }
        : { widthPx, heightPx };
    const { data } = resizeAsPillow(image, size);
    const left = roundHalfToEven((size.widthPx - widthPx) / 2);
    const top = roundHalfToEven((size.heightPx - heightPx) / 2);
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < heightPx; y++)
        for (let x = 0; x < widthPx; x++) {
          const level = data[((top + y) * size.widthPx + left + x) * 3 + c]!;
          values[((n * 3 + c) * heightPx + y) * widthPx + x] = (level / 255 - mean[c]!) / std[c]!;
        }
  }
  return floatNpy([images.length, 3, heightPx, widthPx], values);
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
