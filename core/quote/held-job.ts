import type { Completion } from '#core/completion.ts';
import type { JobCost, MeteredJob } from '#core/cost/job-cost.ts';
import { SluiceError } from '#core/error.ts';
import { type Held, held } from './held.ts';
import { type Quote, scaled } from './quote.ts';

/** A figure of a quote, by its name, beside what the meters of the job tell. */
export interface HeldFigure extends Held {
  readonly figure: 'decodeSeconds' | 'functionSeconds' | 'lambdaGbSeconds' | 'seconds' | 'usd' | 'unreadable';
}

/** A quote held against a complete job on S3 and SQS. */
export interface HeldJob {
  readonly job: string;
  readonly source: string;
  readonly quotedAt: string;
  readonly quotedImages: number;
  /** Planned, and of those the ones that the job audited itself. */
  readonly planned: number;
  readonly images: number;
  readonly figures: readonly HeldFigure[];
  /** Why the two are not quite of the same thing. */
  readonly remarks: readonly string[];
}

/**
 * @param cost what the job came to, and with which assumptions.
 * @param isLocal its functions had the cores of a machine such as the quote was made on, and not those of Lambda.
 * @throws SluiceError `source-invalid` for a quote of an earlier version, and a job that audited nothing itself.
 */
export function heldJob(
  quote: Quote,
  { planned, carried, unreadable, preprocessHash, plannedAt, completedAt }: Completion,
  { job, usage }: MeteredJob,
  cost: JobCost,
  isLocal = false,
): HeldJob {
  const { metered } = quote.fleet;
  if (metered === undefined) {
    throw new SluiceError(
      'source-invalid',
      `the quote of "${quote.source}" says nothing of what a job on AWS is metered by: it was made by an earlier version. ` +
        'Quote the source again',
    );
  }
  const { images } = cost;
  if (images === 0) {
    throw new SluiceError(
      'source-invalid',
      `no quote can be held against "${job}": it audited no image itself, its ${planned} rows were taken over`,
    );
  }
  const preprocessing = usage.stages.filter(({ stage }) => stage === 'preprocess');
  const ms = (kind: 'cpu' | 'function'): number =>
    preprocessing.reduce((sum, stage) => sum + (stage.usage.ms[kind] ?? 0), 0);
  const gbSeconds = cost.items
    .filter(({ stage, resource }) => stage === 'preprocess' && resource === 'Lambda compute')
    .reduce((sum, { quantity }) => sum + quantity, 0);
  const share = images / quote.images;
  const decodeSeconds = isLocal
    ? scaled(quote.decoding.cpuMsPerImage, quote.images / 1000)
    : metered.decodeSeconds;
  return {
    job,
    source: quote.source,
    quotedAt: quote.quotedAt,
    quotedImages: quote.images,
    planned,
    images,
    figures: [
      { figure: 'decodeSeconds', ...held(decodeSeconds, share, ms('cpu') / 1000) },
      { figure: 'functionSeconds', ...held(metered.functionSeconds, share, ms('function') / 1000) },
      { figure: 'lambdaGbSeconds', ...held(metered.lambdaGbSeconds, share, gbSeconds) },
      {
        figure: 'seconds',
        ...held(quote.fleet.seconds, share, (Date.parse(completedAt) - Date.parse(plannedAt)) / 1000),
      },
      { figure: 'usd', ...held(metered.usd, share, cost.usd) },
      // Rows that were taken over have theirs.
      { figure: 'unreadable', ...held(quote.refused, planned / quote.images, unreadable) },
    ],
    remarks: [
      ...(planned === quote.images
        ? []
        : [
            `the quote is of ${count(quote.images)} images, the job of ${count(planned)}: the quote is scaled`,
          ]),
      ...(carried === 0
        ? []
        : [
            `${count(carried)} rows were taken over from an earlier job: the quote is scaled to the other ${count(images)}`,
          ]),
      ...(preprocessHash === quote.preprocessHash
        ? []
        : ['the model of the job has another preprocessing than that of the quote']),
      ...termsThatDiffer(metered.assumptions, cost.assumptions),
      ...(isLocal ? [LOCAL] : []),
    ],
  };
}

const LOCAL =
  'the job did not run on AWS: decoding is held against what the quote measured on its own cores; functions, hours and dollars are quoted for AWS';

/** Dollars of other terms are not those of the quote. */
function termsThatDiffer(
  quoted: Readonly<Record<string, unknown>>,
  reckoned: Readonly<Record<string, unknown>>,
): string[] {
  return Object.keys({ ...quoted, spotHourUsd: undefined })
    .filter((name) => quoted[name] !== reckoned[name])
    .map((name) => `quoted with ${name} ${said(quoted[name])}, reckoned with ${said(reckoned[name])}`);
}

/** Only an hour's price may be left out. */
function said(value: unknown): string {
  return value === undefined ? 'the price file' : String(value);
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}
