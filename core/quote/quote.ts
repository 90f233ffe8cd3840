import { z } from 'zod';
import { CostAssumptions } from '#core/cost/assumptions.ts';

const Count = z.int().min(0);
const Amount = z.number().min(0);
/** With its 95 % confidence limits, as far as they come from the sample. */
const Interval = z.strictObject({ estimate: Amount, low: Amount, high: Amount });
export type Interval = z.infer<typeof Interval>;

/**
 * How far off the figures of a fleet may be that rest on assumptions (a vCPU of Lambda, the model on a GPU, S3's latency), as a share to
 * either side: as much as `lambdaSlowness` takes a vCPU to be slower than a core here.
 */
export const ASSUMED_RANGE = 0.25;

export function scaled({ estimate, low, high }: Interval, by: number): Interval {
  return { estimate: estimate * by, low: low * by, high: high * by };
}

/** What is said of a source before it is audited: `sluice quote --json`, and its `--out` file. */
export const Quote = z.strictObject({
  schema: z.literal(1),
  source: z.string(),
  model: z.string(),
  preprocessHash: z.string(),
  softwareVersion: z.string(),
  quotedAt: z.iso.datetime(),
  images: Count,
  bytes: Count,
  /** Manifest lines that name no image. */
  sourceProblems: Count,
  sample: z.strictObject({
    seed: Count,
    images: Count,
    refused: Count,
    /** Refused images of the sample by code. */
    refusals: z.record(z.string(), Count),
    strata: z.array(
      z.strictObject({
        format: z.string(),
        fromBytes: Count,
        toBytes: Count,
        images: Count,
        sampled: Count,
        refused: Count,
        /** Processor time of an image: mean and standard deviation of those sampled. */
        cpuMs: Amount,
        cpuMsDeviation: Amount,
      }),
    ),
  }),
  /** How many of all images would be refused. */
  refused: Interval,
  megapixels: Amount,
  /** On the machine that made the quote. Processor time is user and system time of the decoding processes. */
  decoding: z.strictObject({
    processes: z.int().min(1),
    cpuMsPerImage: Interval,
    /** What a process takes once, beside its images, until it runs at its full speed. */
    startCpuSeconds: Amount,
    /** Of all images, and of the start of all processes: what `sluice run` would take here. */
    cpuSeconds: Interval,
    /** By the clock, where nothing but decoding holds the run back. */
    seconds: Interval,
  }),
  /** On AWS, simulated with what was measured. */
  fleet: z.strictObject({
    region: z.string(),
    instance: z.string(),
    market: z.enum(['spot', 'on-demand']),
    deadlineSeconds: z.number().positive().optional(),
    /** Also where images take as long as the upper limit says. */
    inTime: z.boolean().optional(),
    /** No fleet would be in time. */
    hopeless: z.boolean().optional(),
    invocations: z.int().min(1),
    workers: z.int().min(1),
    seconds: Interval,
    usd: Interval,
    usdPerMillion: Interval,
    items: z.array(z.strictObject({ item: z.string(), detail: z.string(), usd: Amount })),
    /** What of it the meters of a job will tell, and what the dollars were reckoned with. Earlier versions left it out. */
    metered: z
      .strictObject({
        /** Processor time of decoding, on the processors of functions. */
        decodeSeconds: Interval,
        /** Of the functions that preprocess. */
        functionSeconds: Interval,
        lambdaGbSeconds: Interval,
        usd: Interval,
        assumptions: CostAssumptions.pick({
          region: true,
          instanceType: true,
          market: true,
          spotHourUsd: true,
          architecture: true,
          volumeGb: true,
          publicIpv4: true,
        }),
      })
      .optional(),
    bottleneck: z.strictObject({
      stage: z.enum(['functions', 'workers', 'source', 'finalize']),
      heldBackBy: z.string(),
      imagesPerSecond: Amount,
      /** What the other stages would manage. */
      rates: z.record(z.string(), Amount),
    }),
    /** Limits that the fleet ran into. */
    limits: z.array(z.string()),
    /** Figures of the simulation that nobody has measured. */
    assumed: z.record(z.string(), z.strictObject({ value: z.number(), note: z.string() })),
  }),
});
export type Quote = z.infer<typeof Quote>;
