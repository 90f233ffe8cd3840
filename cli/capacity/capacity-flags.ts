import { z } from 'zod';
import { SluiceError } from '#core/error.ts';
import { GivenMeasurements } from '#core/simulation/measurements.ts';
import { Scenario } from '#core/simulation/scenario.ts';
import { validated } from '../cloud/validated.ts';
import { readJsonObject } from '../json-file.ts';

/** The flags of `sluice plan-capacity`, as commander hands them over. */
export interface CapacityFlags {
  readonly images: string;
  readonly deadline?: string;
  readonly megapixels?: string;
  readonly imageBytes?: string;
  readonly region: string;
  readonly prices?: string;
  readonly instance: string;
  readonly market: 'spot' | 'on-demand';
  readonly spotPrice?: string;
  readonly architecture: 'arm64' | 'x86';
  readonly measurements?: string;
  readonly scenario?: string;
  readonly packSize?: string;
  readonly imagesPerJob?: string;
  readonly concurrency?: string;
  readonly maxWorkers?: string;
  readonly growAtPacks?: string;
  readonly maxBacklogPacks?: string;
  readonly sourcePartitions?: string;
  readonly pipelines?: string;
  readonly interruptions?: string;
  readonly seed?: string;
  readonly out?: string;
  readonly json?: boolean;
}

const Count = z.int().min(1);
/** What the flags say beside the scenario. */
const Wishes = z.strictObject({
  deadlineS: z.number().positive().optional(),
  concurrency: Count.max(100_000).optional(),
  maxWorkers: Count.optional(),
  growAtPacks: z.number().positive().optional(),
  maxBacklogPacks: Count.optional(),
  spotHourUsd: z.number().positive().optional(),
});

export interface CapacityRequest {
  readonly scenario: z.input<typeof Scenario>;
  readonly wishes: z.infer<typeof Wishes>;
}

/** Flags win over the scenario's file. @throws SluiceError `config-invalid` that lists every bad value. */
export async function capacityRequest(flags: CapacityFlags): Promise<CapacityRequest> {
  const given = flags.scenario === undefined ? {} : await readJsonObject(flags.scenario, 'a scenario');
  refuseIgnored(flags);
  const market = flags.market === 'on-demand' ? { interruptionsPerHour: 0 } : {};
  const scenario = {
    ...given,
    ...defined({
      images: quantity(flags.images),
      megapixels: quantity(flags.megapixels),
      imageBytes: quantity(flags.imageBytes),
      packSize: quantity(flags.packSize),
      imagesPerJob: quantity(flags.imagesPerJob),
      sourcePartitions: quantity(flags.sourcePartitions),
      pipelines: quantity(flags.pipelines),
      seed: quantity(flags.seed),
    }),
    spot: {
      ...(given['spot'] as object | undefined),
      ...defined({ interruptionsPerHour: quantity(flags.interruptions) }),
      ...market,
    },
  };
  const file = given as z.input<typeof Scenario>;
  const wishes = defined({
    deadlineS: duration(flags.deadline),
    concurrency: quantity(flags.concurrency) ?? file.functions?.concurrency,
    maxWorkers: quantity(flags.maxWorkers) ?? file.scaling?.maxWorkers,
    growAtPacks: quantity(flags.growAtPacks) ?? file.scaling?.growAtPacks,
    maxBacklogPacks: quantity(flags.maxBacklogPacks) ?? file.maxBacklogPacks,
    spotHourUsd: quantity(flags.spotPrice),
  });
  // Checked here for its messages; what is left to be found is filled in later, so the input goes on.
  validated(Scenario, withWishes(scenario, wishes), 'the scenario');
  return {
    scenario: scenario as z.input<typeof Scenario>,
    wishes: validated(Wishes, wishes, 'the command'),
  };
}

/** What there is of the wishes in a scenario; workers are at least those that the scenario always has. */
function withWishes(
  scenario: Readonly<Record<string, unknown>>,
  { maxWorkers }: Readonly<Record<string, unknown>>,
): object {
  const scaling = scenario['scaling'];
  if (scaling !== undefined && (typeof scaling !== 'object' || scaling === null)) return scenario;
  const { minWorkers } = { ...scaling } as { minWorkers?: unknown };
  const most = maxWorkers ?? (typeof minWorkers === 'number' ? Math.max(1, minWorkers) : undefined);
  return { ...scenario, scaling: { ...scaling, ...defined({ maxWorkers: most }) } };
}

/** @throws SluiceError `config-invalid` for flags of spot instances where there are none. */
function refuseIgnored(flags: Pick<CapacityFlags, 'market' | 'spotPrice' | 'interruptions'>): void {
  if (flags.market === 'spot') return;
  const ignored = [
    ...(flags.spotPrice === undefined ? [] : ['--spot-price']),
    ...(flags.interruptions === undefined ? [] : ['--interruptions']),
  ];
  if (ignored.length === 0) return;
  throw new SluiceError(
    'config-invalid',
    `${ignored.join(' and ')} would be ignored with --market on-demand: leave one of them out`,
  );
}

/** What a `--measurements` file holds; nothing, where there is none. */
export async function givenMeasurements(path: string | undefined): Promise<GivenMeasurements> {
  return path === undefined
    ? {}
    : validated(GivenMeasurements, await readJsonObject(path, 'measurements'), path);
}

const MULTIPLES: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, B: 1e9 };
const SECONDS: Readonly<Record<string, number>> = { s: 1, min: 60, m: 60, h: 3600, d: 86_400 };

/** A number as people write it: "10M", "1e9", "250_000". What is none stays text, for the schema to refuse. */
export function quantity(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  const [, digits, unit = ''] = /^([\d_.]+(?:e\d+)?)([kMB]?)$/.exec(text.trim()) ?? [];
  const value = Number(digits?.replaceAll('_', '')) * (MULTIPLES[unit] ?? Number.NaN);
  return Number.isNaN(value) ? text : value;
}

/** Seconds of "8h", "90min". */
function duration(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  const [, digits, unit = ''] = /^([\d.]+)\s*(s|min|m|h|d)$/.exec(text.trim()) ?? [];
  return digits === undefined ? text : Number(digits) * (SECONDS[unit] ?? Number.NaN);
}

function defined(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
