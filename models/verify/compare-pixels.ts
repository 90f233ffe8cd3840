import { TURNS, type Turn } from '#adapters/image/turned-picture.ts';
import { pixelDifference } from '#core/image/pixel-difference.ts';

/** A mean difference that scaling and rounding leave. */
const FITTED_LEVELS = 2;

/**
 * What a large difference of one image looks like, for a person: swapped channels, another mean or std, a picture
 * that lies on its side. `undefined` where it looks like none of them.
 *
 * @param turned the image as it looks here if it lies otherwise; `undefined` where that cannot be had.
 */
export async function diagnosis(
  levels: Uint8Array,
  reference: Float32Array,
  turned: (turn: Turn) => Promise<Uint8Array | undefined>,
): Promise<string | undefined> {
  const plain = pixelDifference(reference, (i) => levels[i] as number).mean;
  const explains = (at: (i: number) => number): boolean => pixelDifference(reference, at).mean < plain / 3;
  if (explains((i) => levels[i - (i % 3) + 2 - (i % 3)] as number))
    return 'the channels are swapped: the other --channel-order fits';
  for (const turn of TURNS) {
    const pixels = await turned(turn);
    if (pixels === undefined || !explains((i) => pixels[i] as number)) continue;
    const how = [
      ...(turn.degrees === 0 ? [] : [`turned by ${turn.degrees}°`]),
      ...(turn.isMirrored ? ['mirrored'] : []),
    ];
    return `the reference is ${how.join(' and ')}: its EXIF orientation was not applied in training, or is not here`;
  }
  const fits = [0, 1, 2].map((channel) => linearFit(levels, reference, channel));
  const fitted = (i: number): number => (levels[i] as number) * fits[i % 3]!.factor + fits[i % 3]!.shift;
  // A line explains a part of any difference: it has to explain nearly all.
  if (explains(fitted) && pixelDifference(reference, fitted).mean < FITTED_LEVELS) {
    const shown = fits.map(
      ({ factor, shift }) =>
        `${factor.toFixed(3)} · level ${shift < 0 ? '−' : '+'} ${Math.abs(shift).toFixed(1)}`,
    );
    return `mean, std or scale differ: the reference is ${shown.join(', ')} (red, green, blue)`;
  }
  return 'the geometry or the kernel differs: compare --resize, the crop and --kernel with the training code';
}

/** Least squares: reference ≈ factor · level + shift, for one channel. */
function linearFit(
  levels: Uint8Array,
  reference: Float32Array,
  channel: number,
): { factor: number; shift: number } {
  let [n, sx, sy, sxx, sxy] = [0, 0, 0, 0, 0];
  for (let i = channel; i < levels.length; i += 3) {
    const x = levels[i] as number;
    const y = reference[i] as number;
    n++;
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  const spread = n * sxx - sx * sx;
  const factor = spread === 0 ? 1 : (n * sxy - sx * sy) / spread;
  return { factor, shift: (sy - factor * sx) / n };
}
