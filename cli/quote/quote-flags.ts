import { z } from 'zod';
import { type CapacityFlags, quantity } from '../capacity/capacity-flags.ts';
import { validated } from '../cloud/validated.ts';

/** The flags of `sluice quote` beside the settings of a run, as commander hands them over. */
export interface QuoteFlags {
  readonly root?: string;
  readonly config?: string;
  readonly sample?: string;
  readonly seed: string;
  readonly deadline?: string;
  readonly region: string;
  readonly prices?: string;
  readonly instance: string;
  readonly market: 'spot' | 'on-demand';
  readonly spotPrice?: string;
  readonly sourcePartitions?: string;
  readonly pipelines?: string;
  readonly measurements?: string;
  readonly against?: string;
  readonly pipeline?: string;
  readonly out?: string;
  readonly json?: boolean;
}

const SAMPLE_IMAGES = 200;
/** Nobody asked for a size: then it follows from how much the images differ. */
const MOST_SAMPLE_IMAGES = 600;

const Sampling = z.strictObject({
  sample: z.int().min(1).max(1_000_000).optional(),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1),
});

/** @throws SluiceError `config-invalid` that lists every bad value. */
export function sampleSize(flags: Pick<QuoteFlags, 'sample' | 'seed'>): {
  images: number;
  mostImages: number;
  seed: number;
} {
  const given = { seed: quantity(flags.seed), sample: quantity(flags.sample) };
  const { sample, seed } = validated(Sampling, given as z.infer<typeof Sampling>, 'the command');
  return { images: sample ?? SAMPLE_IMAGES, mostImages: sample ?? MOST_SAMPLE_IMAGES, seed };
}

/** What `plan-capacity` would be told, but for the images: those are measured. */
export function capacityFlags(flags: QuoteFlags): CapacityFlags {
  const { deadline, region, instance, market, spotPrice, sourcePartitions, pipelines, seed } = flags;
  return {
    images: '1',
    region,
    instance,
    market,
    architecture: 'arm64',
    seed,
    ...(spotPrice !== undefined && { spotPrice }),
    ...(deadline !== undefined && { deadline }),
    ...(sourcePartitions !== undefined && { sourcePartitions }),
    ...(pipelines !== undefined && { pipelines }),
  };
}
