import type { ImageRef } from '#core/image-ref.ts';
import { REFUSAL_CODES, type RefusalCode } from '#core/refusal.ts';
import type { Stratum } from './sampled-source.ts';
import { allocate, type Estimate, estimateTotal, spread } from './stratified-estimate.ts';

/** What decoding an image took. */
export interface MeasuredImage {
  /** Milliseconds of processor time. */
  readonly cpuMs: number;
  /** Absent of one that was refused. */
  readonly megapixels?: number;
  readonly refusal?: RefusalCode;
}

export interface MeasuredStratum extends Omit<Stratum, 'draw'> {
  readonly measured: readonly MeasuredImage[];
}

/** How large a sample is to be. */
export interface SampleSize {
  readonly images: number;
  /** It may grow to so many, where the images differ so much that {@link images} do not tell enough. */
  readonly mostImages: number;
}

/** Enough to know a stratum's spread at all. */
const LEAST_PER_STRATUM = 3;
/** A sample grows until the half of the interval is no more than this share of the total. */
const WANTED_MARGIN = 0.05;
/** A few images may be alike by chance: no stratum is thought to vary less than by this share of its mean. */
const LEAST_DEVIATION = 0.1;

/**
 * Measures a sample in rounds: the first half by the bytes of the strata, the second where the first half differed most
 * (Neyman's allocation), and then more where that is not enough.
 *
 * @param measure of each ref, in its order, what it took.
 */
export async function takeSample(
  strata: readonly Stratum[],
  size: SampleSize,
  measure: (refs: readonly ImageRef[]) => Promise<readonly MeasuredImage[]>,
): Promise<MeasuredStratum[]> {
  const found = strata.map((stratum) => ({ stratum, measured: [] as MeasuredImage[] }));
  const drawn = (): number => found.reduce((sum, { measured }) => sum + measured.length, 0);
  const round = async (total: number, weightOf: (of: (typeof found)[number]) => number): Promise<boolean> => {
    const counts = allocate(
      found.map((of) => ({ images: of.stratum.images, drawn: of.measured.length, weight: weightOf(of) })),
      total,
      LEAST_PER_STRATUM,
    );
    const refs = found.map(({ stratum }, i) => stratum.draw(counts[i] as number));
    const measured = await measure(refs.flat());
    let from = 0;
    for (const [i, own] of refs.entries()) {
      found[i]?.measured.push(...measured.slice(from, from + own.length));
      from += own.length;
    }
    return from > 0;
  };
  await round(Math.ceil(size.images / 2), ({ stratum }) => stratum.bytes);
  for (let total = size.images; ; total += Math.ceil(size.images / 2)) {
    const isMore = drawn() >= total || (await round(Math.min(total, size.mostImages), neymanWeight));
    const { estimate, high } = estimateTotal(valuesOf(found, ({ cpuMs }) => cpuMs));
    const isEnough = high - estimate <= WANTED_MARGIN * estimate;
    if (isEnough || !isMore || total >= size.mostImages) break;
  }
  return found.map(({ stratum: { draw: _, ...stratum }, measured }) => ({ ...stratum, measured }));
}

function neymanWeight({
  stratum,
  measured,
}: {
  stratum: Stratum;
  measured: readonly MeasuredImage[];
}): number {
  const { mean, variance } = spread(measured.map(({ cpuMs }) => cpuMs));
  return stratum.images * Math.max(Math.sqrt(variance), LEAST_DEVIATION * mean);
}

function valuesOf(
  found: readonly { stratum: Stratum; measured: readonly MeasuredImage[] }[],
  value: (image: MeasuredImage) => number,
): { images: number; values: number[] }[] {
  return found.map(({ stratum, measured }) => ({ images: stratum.images, values: measured.map(value) }));
}

/** What a sample says of the whole. */
export interface SampleFindings {
  /** Milliseconds of processor time, of all images. */
  readonly cpuMs: Estimate;
  /** How many would be refused. */
  readonly refused: Estimate;
  /** Of an image that is not refused, on average; 1 where all are. */
  readonly megapixels: number;
  readonly sampled: number;
  readonly sampledRefused: number;
  /** Refused images of the sample by code, in the order of the closed list. */
  readonly refusals: Readonly<Record<string, number>>;
}

/**
 * Where a sample of n has none, a share of up to about 3/n may have been missed (95 %).
 *
 * Source: Hanley and Lippman-Hand, If Nothing Goes Wrong, Is Everything All Right?, JAMA 1983. As if broken files
 * were as frequent in all strata: Π (1 − p)^nₕ = 5 %.
 */
function orFew(found: Estimate, strata: readonly MeasuredStratum[]): Estimate {
  if (found.estimate > 0) return found;
  const rest = strata.filter(({ images, measured }) => measured.length < images);
  const seen = rest.reduce((sum, { measured }) => sum + measured.length, 0);
  const unseen = rest.reduce((sum, { images, measured }) => sum + images - measured.length, 0);
  return seen === 0 ? found : { ...found, high: unseen * Math.min(1, 3 / seen) };
}

export function findingsOf(strata: readonly MeasuredStratum[]): SampleFindings {
  const total = (value: (image: MeasuredImage) => number): Estimate =>
    estimateTotal(strata.map(({ images, measured }) => ({ images, values: measured.map(value) })));
  const all = strata.flatMap(({ measured }) => measured);
  const refused = orFew(
    total(({ refusal }) => (refusal === undefined ? 0 : 1)),
    strata,
  );
  const decoded = total(({ refusal }) => (refusal === undefined ? 1 : 0)).estimate;
  return {
    cpuMs: total(({ cpuMs }) => cpuMs),
    refused,
    megapixels: decoded > 0 ? total(({ megapixels = 0 }) => megapixels).estimate / decoded : 1,
    sampled: all.length,
    sampledRefused: all.filter(({ refusal }) => refusal !== undefined).length,
    refusals: Object.fromEntries(
      REFUSAL_CODES.flatMap((code) => {
        const count = all.filter(({ refusal }) => refusal === code).length;
        return count === 0 ? [] : [[code, count]];
      }),
    ),
  };
}
