import { z } from 'zod';
import { SluiceError } from '#core/error.ts';

/** The day for which a figure was true; only the month, or only the year, where nobody noted the day. */
const AsOf = z.union([
  z.iso.date(),
  z.string().regex(/^\d{4}(-(0[1-9]|1[0-2]))?$/, 'expected a day, a month or a year, such as 2026-11-21'),
]);

/** One figure of a price list: US dollars for one unit, without free tiers and discounts. */
function price<U extends string>(per: U) {
  return z.strictObject({
    usd: z.number().min(0),
    per: z.literal(per),
    asOf: AsOf,
    /** The price list it was taken from; of a figure that was entered by hand, the page where AWS publishes it. */
    source: z.url(),
  });
}

/** Prices that fall with the quantity of a month: each counts for the units above those of the tiers before it. */
const Tiers = z.strictObject({
  per: z.literal('thousand images'),
  asOf: AsOf,
  source: z.url(),
  tiers: z
    .array(z.strictObject({ upTo: z.number().positive().nullable(), usd: z.number().min(0) }))
    .min(1)
    .refine((tiers) => tiers.at(-1)?.upTo === null, 'expected the last tier to have no end ("upTo": null)'),
});
export type Tiers = z.infer<typeof Tiers>;

const InstancePrices = z.strictObject({
  onDemand: price('hour'),
  /** A price of the past: the market sets it anew all the time. No price list has it. */
  spot: price('hour').optional(),
});

/** What AWS asks in one region, for all that a pipeline uses. `infra/prices/<region>.json` */
export const Prices = z.strictObject({
  $schema: z.string().optional(),
  v: z.literal(1),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'expected a region, such as us-east-1'),
  lambda: z.strictObject({
    x86: price('GB-second'),
    arm64: price('GB-second'),
    requests: price('million requests'),
  }),
  sqs: z.strictObject({
    /** Every begun 64 KiB of a message is a request. */
    standard: price('million requests'),
  }),
  s3: z.strictObject({
    /** PUT, COPY, POST. DELETE costs nothing. */
    put: price('thousand requests'),
    /** GET and HEAD. */
    get: price('thousand requests'),
    list: price('thousand requests'),
    storage: price('GB-month'),
  }),
  /** By instance type, Linux. */
  instances: z.record(z.string(), InstancePrices),
  ebs: z.strictObject({ gp3: price('GB-month') }),
  network: z.strictObject({
    publicIpv4: price('hour'),
    /** In one availability zone. */
    interfaceEndpoint: price('hour'),
    interfaceEndpointData: price('GB'),
    /** Each way. */
    betweenZones: price('GB').optional(),
    toInternet: price('GB').optional(),
  }),
  cloudwatch: z.strictObject({
    logs: price('GB'),
    metric: price('month'),
    alarm: price('month'),
    dashboard: price('month').optional(),
  }),
  /** What else could look at the images, to compare with. */
  alternatives: z
    .strictObject({
      rekognitionModeration: Tiers.optional(),
      /** By instance type, real-time inference. */
      sageMaker: z.record(z.string(), price('hour')).default({}),
    })
    .prefault({}),
});
export type Prices = z.infer<typeof Prices>;

/** SQS bills a message by begun chunks of this size. */
export const SQS_CHUNK_BYTES = 64 * 1024;
/** A figure that is older than this is doubted aloud. */
const MAX_AGE_DAYS = 365;
const DAY_MS = 86_400_000;

/**
 * @param expected `now`, where nothing later than that is believed.
 * @throws SluiceError `config-invalid` that lists every bad figure, or names the region that came instead.
 */
export function parsePrices(
  value: unknown,
  expected: { region: string; file: string; now?: Date | undefined },
): Prices {
  const parsed = Prices.safeParse(value);
  if (!parsed.success) {
    throw new SluiceError(
      'config-invalid',
      `${expected.file} is no price file:\n${z.prettifyError(parsed.error)}\n` +
        'infra/prices/us-east-1.json shows the form; "sluice prices refresh" writes one',
    );
  }
  if (parsed.data.region !== expected.region) {
    throw new SluiceError(
      'config-invalid',
      `expected prices of ${expected.region} in ${expected.file}, found those of ${parsed.data.region}: ` +
        `name that region, or another file`,
    );
  }
  const { now } = expected;
  const future =
    now === undefined ? [] : datedFigures(parsed.data, []).filter(({ asOf }) => isLater(asOf, now));
  if (future.length > 0) {
    throw new SluiceError(
      'config-invalid',
      `${expected.file} has prices of days to come: ${future.map(({ name, asOf }) => `${name} (${asOf})`).join(', ')}; ` +
        'correct their "asOf", or the clock of this machine',
    );
  }
  return parsed.data;
}

/** Somewhere it is tomorrow already. */
function isLater(asOf: string, now: Date): boolean {
  return Date.parse(asOf) > now.getTime() + DAY_MS;
}

/** What an instance type costs by the hour, and how it is bought at that price. */
export interface InstanceHour {
  readonly price: z.infer<ReturnType<typeof price<'hour'>>>;
  readonly market: 'spot' | 'on-demand';
}

/**
 * The price of an instance type; that on demand where there is none on Spot, which is the most that Spot asks.
 *
 * @throws SluiceError `config-invalid` that names the types that have a price.
 */
export function instanceHour(prices: Prices, type: string, market: 'spot' | 'on-demand'): InstanceHour {
  const found = prices.instances[type];
  if (found === undefined) {
    throw new SluiceError(
      'config-invalid',
      `no price for "${type}" in ${prices.region}; there are ${Object.keys(prices.instances).join(', ')}. ` +
        `Add it with: sluice prices refresh --region ${prices.region} --instance ${type}`,
    );
  }
  const { onDemand, spot } = found;
  return market === 'spot' && spot !== undefined
    ? { price: spot, market }
    : { price: onDemand, market: 'on-demand' };
}

/** A sentence where Spot is reckoned at the price on demand; `undefined` where it is not. */
export function missingSpotPrice(
  prices: Prices,
  type: string,
  market: 'spot' | 'on-demand',
  givenUsd: number | undefined,
): string | undefined {
  if (market !== 'spot' || givenUsd !== undefined) return undefined;
  if (instanceHour(prices, type, market).market === 'spot') return undefined;
  return (
    `no spot price of ${type} in ${prices.region} is known: its hours are reckoned at the price on demand, which is the most that ` +
    "Spot asks; --spot-price takes today's, from the spot price history of EC2"
  );
}

/** A sentence for prices that are older than a year; `undefined` where all are fresh. A year alone counts from its first day. */
export function staleness(prices: Prices, now: Date): string | undefined {
  const old = datedFigures(prices, []).filter(
    ({ asOf }) => now.getTime() - Date.parse(asOf) > MAX_AGE_DAYS * DAY_MS,
  );
  if (old.length === 0) return undefined;
  const oldest = old.map(({ asOf }) => asOf).sort()[0] as string;
  const named = old
    .slice(0, 3)
    .map(({ name }) => name)
    .join(', ');
  return (
    `${old.length} price(s) of ${prices.region} are older than a year, the oldest of ${oldest} ` +
    `(${named}${old.length > 3 ? ', …' : ''}): refresh them with "sluice prices refresh --region ${prices.region}"`
  );
}

/** For when the prices are true, as a report says it: "2026-11-21", or from the earliest to the latest. */
export function pricesAsOf(prices: Prices): string {
  const dates = datedFigures(prices, [])
    .map(({ asOf }) => asOf)
    .sort();
  const [first, last] = [dates[0] as string, dates.at(-1) as string];
  return first === last ? first : `${first} to ${last}`;
}

function datedFigures(value: unknown, path: readonly string[]): { name: string; asOf: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('asOf' in value && typeof value.asOf === 'string') return [{ name: path.join('.'), asOf: value.asOf }];
  return Object.entries(value).flatMap(([name, member]) => datedFigures(member, [...path, name]));
}
