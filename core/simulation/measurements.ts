import { z } from 'zod';
import { WORKER_START_S } from '#core/fleet-scaling.ts';

/** A number, and how anybody knows it. */
const Figure = z.strictObject({
  value: z.number().min(0),
  /** `measured` by this project, `documented` by whoever sells it, or `assumed`: to be replaced by your own. */
  basis: z.enum(['measured', 'documented', 'assumed']),
  /** The day; of a plain number nobody knows it. */
  on: z.iso.date().optional(),
  note: z.string(),
});
export type Figure = z.infer<typeof Figure>;

/** In a file of one's own a plain number will do. */
const GivenFigure = z.union([
  Figure,
  z
    .number()
    .min(0)
    .transform((value): Figure => ({ value, basis: 'measured', note: 'as given' })),
]);

const DecodeCost = z.strictObject({
  megapixels: z.number().positive(),
  /** Milliseconds of one processor core: decode, scale, hash, pack. */
  coreMs: z.number().positive(),
  /** Of the compressed file. */
  bytes: z.number().positive(),
});

const names = [
  'lambdaSlowness',
  'lambdaCores',
  'firstByteMs',
  'getsInFlight',
  'lambdaMbPerSecond',
  'packMs',
  'invocationMs',
  'coldStartMs',
  'packDeviation',
  'workerImageMs',
  'workerBatchMs',
  'feedImagesPerSecond',
  'workerMbPerSecond',
  'bootS',
  'engineLoadS',
  'planningMs',
  'listedPerSecond',
  'completionMs',
  'finalizedPerSecond',
] as const;
type Name = (typeof names)[number];

/** Service times of all stages. What each member means stands beside its default. */
export interface Measurements extends Readonly<Record<Name, Figure>> {
  /** By the size of the images, ascending; between two sizes it is interpolated. */
  readonly decode: readonly z.infer<typeof DecodeCost>[];
}

/** What a `--measurements` file may hold: any of them. */
export const GivenMeasurements = z.strictObject({
  $schema: z.string().optional(),
  decode: z.array(DecodeCost).min(1).optional(),
  ...(Object.fromEntries(names.map((name) => [name, GivenFigure.optional()])) as Record<
    Name,
    z.ZodOptional<typeof GivenFigure>
  >),
});
export type GivenMeasurements = z.infer<typeof GivenMeasurements>;

const MEASURED_ON = '2026-11-21';

function measured(value: number, note: string): Figure {
  return { value, basis: 'measured', on: MEASURED_ON, note };
}
function documented(value: number, note: string): Figure {
  return { value, basis: 'documented', on: MEASURED_ON, note };
}
function assumed(value: number, note: string): Figure {
  return { value, basis: 'assumed', on: MEASURED_ON, note };
}

/** What is taken where nobody says otherwise: photos as JPEG, arm64 functions of 3,538 MiB, g4dn.xlarge workers, 224 px. */
export const DEFAULT_MEASUREMENTS: Measurements = {
  // `npm run bench -- preprocess`, "one core" and "file", on a core of a shared Xeon server.
  decode: [
    { megapixels: 0.2, coreMs: 4.8, bytes: 66_000 },
    { megapixels: 1, coreMs: 8.9, bytes: 287_000 },
    { megapixels: 12, coreMs: 37.7, bytes: 2_935_000 },
  ],
  lambdaSlowness: assumed(1.25, 'a vCPU of Lambda takes so much longer than the core that was measured'),
  lambdaCores: documented(
    2,
    '3,538 MiB are two vCPUs: "Configure Lambda function memory" in the Lambda guide',
  ),
  firstByteMs: documented(
    100,
    '"Performance design patterns for Amazon S3": 100 to 200 ms for small objects',
  ),
  getsInFlight: documented(8, 'preprocess.imagesInFlight for each of two processes: core/pipeline-config.ts'),
  lambdaMbPerSecond: assumed(75, 'what a function gets through its network; AWS does not say'),
  packMs: assumed(60, 'two HEADs, one PUT and one SendMessage a pack, beside the decoding of another one'),
  invocationMs: assumed(250, 'read the shard and the count of the backlog'),
  coldStartMs: assumed(2000, 'start Node, load sharp and libheif, start two decoding processes'),
  packDeviation: assumed(0.2, 'standard deviation of the time of a pack, as a share of its mean'),
  workerImageMs: assumed(
    0.4,
    'ResNet-50 in float16 on a T4: half the rate of MLPerf Inference v0.5 in INT8 (5,600 images/s), less a tenth',
  ),
  workerBatchMs: assumed(2, 'what a run of the model takes beside its images'),
  feedImagesPerSecond: measured(
    6800,
    'docs/gpu.md: what a worker on 4 cores fetches, checks and copies at 224 px; on another processor',
  ),
  workerMbPerSecond: documented(
    625,
    'g4dn.xlarge: 5 Gbit/s baseline, "Amazon EC2 instance network bandwidth"',
  ),
  bootS: assumed(WORKER_START_S, 'from launch to the start of the worker: boot, drivers, container image'),
  engineLoadS: measured(4, 'docs/gpu.md: 2.5 to 4 s from a cached engine to the first part'),
  planningMs: assumed(500, 'to plan a job, beside its keys'),
  listedPerSecond: assumed(
    20_000,
    'keys that one planning function lists and writes as shards: 16 LISTs of 1,000 keys at a time',
  ),
  completionMs: assumed(1000, 'to complete a job, beside its rows: report, summary, proof'),
  finalizedPerSecond: measured(
    5000,
    'rows that are read twice and written once: "sluice run" on 20,000 images whose parts were there, 4 s',
  ),
};

/** The defaults, and over them what was given. */
export function measurementsFrom(given: GivenMeasurements): Measurements {
  const { $schema: _, ...members } = given;
  const set = Object.fromEntries(Object.entries(members).filter(([, member]) => member !== undefined));
  const all = { ...DEFAULT_MEASUREMENTS, ...(set as Partial<Measurements>) };
  return { ...all, decode: [...all.decode].sort((a, b) => a.megapixels - b.megapixels) };
}

/** Time and size of one image, on a straight line between the measured sizes, and through the last two beyond them. */
export function decodeCost(
  { decode }: Pick<Measurements, 'decode'>,
  megapixels: number,
): { coreMs: number; bytes: number } {
  const [only] = decode;
  if (decode.length < 2 || only === undefined) return only ?? { coreMs: 0, bytes: 0 };
  const upper = Math.max(
    1,
    decode.findIndex((cost, i) => cost.megapixels >= megapixels || i === decode.length - 1),
  );
  const a = decode[upper - 1] as (typeof decode)[number];
  const b = decode[upper] as (typeof decode)[number];
  const share = (megapixels - a.megapixels) / (b.megapixels - a.megapixels);
  // Below the smallest size the line may pass zero; no image costs nothing.
  const between = (from: number, to: number): number => Math.max(from + share * (to - from), from * 0.1);
  return { coreMs: between(a.coreMs, b.coreMs), bytes: between(a.bytes, b.bytes) };
}
