import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SluiceError } from '#core/error.ts';
import { type Held, held } from '#core/quote/held.ts';
import { Quote } from '#core/quote/quote.ts';
import { isS3Url } from '#core/store-location.ts';
import { Summary } from '#core/summary.ts';
import { SUMMARY_FILE } from '#functions/finalizing/finalize-job.ts';
import { formatCount, formatSeconds, formatShare } from '#report/format.ts';
import { heldText } from '#report/held-figures.ts';
import { figureLines } from './held-lines.ts';

/** What a run really took. */
export interface Actual {
  readonly job: string;
  readonly preprocessHash: string;
  readonly planned: number;
  readonly unreadable: number;
  /** Images that this run decoded or refused; fewer than planned, where it went on from an earlier one. */
  readonly images: number;
  readonly cpuSeconds: number;
  /** Wall-clock seconds of the run that finished the job. */
  readonly seconds: number;
}

/** Predicted and actual, as `sluice quote --against --json` prints them. */
export interface Comparison {
  readonly job: string;
  readonly images: number;
  readonly predictedCpuSeconds: number;
  readonly lowCpuSeconds: number;
  readonly highCpuSeconds: number;
  readonly actualCpuSeconds: number;
  /** 0.1 where the prediction was a tenth too high. */
  readonly error: number;
  readonly isInside: boolean;
  /** How long the run took by the clock, beside what decoding was quoted to take here. */
  readonly duration: Held;
  readonly predictedRefused: number;
  readonly actualRefused: number;
  /** Why the two are not quite of the same thing. */
  readonly remarks: readonly string[];
}

/** @throws SluiceError `source-invalid` for a folder without a finished run, or one that tells no processor time. */
export async function readActual(folder: string): Promise<Actual> {
  const file = join(folder, SUMMARY_FILE);
  const parsed = Summary.safeParse(
    await jsonOf(file, 'the folder of a finished "sluice run", or with --pipeline a job'),
  );
  if (!parsed.success) {
    throw new SluiceError('source-invalid', `${file} is not the summary of a job: give the --out of a run`);
  }
  const { job, preprocessHash, planned, unreadable, decoding, seconds } = parsed.data;
  if (decoding === undefined || decoding.images === 0) {
    throw new SluiceError(
      'source-invalid',
      `${file} tells no processor time of decoding: the run decoded nothing, was made by an earlier version, or on AWS. ` +
        'Run it again with --force',
    );
  }
  return { job, preprocessHash, planned, unreadable, seconds, ...decoding };
}

/** The quote that a path names; `undefined` where it names no file of JSON. @throws SluiceError `source-invalid` for other JSON. */
export async function readQuote(path: string): Promise<Quote | undefined> {
  if (!path.endsWith('.json') || isS3Url(path)) return undefined;
  if (!(await stat(path).catch(() => undefined))?.isFile()) return undefined;
  const parsed = Quote.safeParse(await jsonOf(path, 'a quote'));
  if (parsed.success) return parsed.data;
  throw new SluiceError(
    'source-invalid',
    `${path} is no quote: give the --out of "sluice quote", or a source`,
  );
}

export function comparison(quote: Quote, actual: Actual): Comparison {
  // A run that went on from an earlier one has decoded a part: it is held against that share.
  const cpu = held(quote.decoding.cpuSeconds, actual.images / quote.images, actual.cpuSeconds);
  const remarks = [
    ...(actual.planned === quote.images
      ? []
      : [
          `the quote is of ${formatCount(quote.images)} images, the job of ${formatCount(actual.planned)}: the quote is scaled`,
        ]),
    ...(actual.images === actual.planned
      ? []
      : [`the run that finished the job decoded ${formatCount(actual.images)} of its images`]),
    ...(actual.preprocessHash === quote.preprocessHash
      ? []
      : ['the model of the run has another preprocessing than that of the quote']),
  ];
  return {
    job: actual.job,
    images: actual.images,
    predictedCpuSeconds: cpu.predicted.estimate,
    lowCpuSeconds: cpu.predicted.low,
    highCpuSeconds: cpu.predicted.high,
    actualCpuSeconds: actual.cpuSeconds,
    error: cpu.error ?? Number.POSITIVE_INFINITY,
    isInside: cpu.isInside,
    duration: held(quote.decoding.seconds, actual.images / quote.images, actual.seconds),
    predictedRefused: (quote.refused.estimate * actual.planned) / quote.images,
    actualRefused: actual.unreadable,
    remarks,
  };
}

/** Predicted and actual for a person at a terminal. */
export function comparisonTable(quote: Quote, compared: Comparison): string {
  const { predictedCpuSeconds: estimate, lowCpuSeconds: low, highCpuSeconds: high } = compared;
  const { error, isInside, actualCpuSeconds: actual } = compared;
  const cpu = heldText({ predicted: { estimate, low, high }, actual, error, isInside }, formatSeconds);
  const lines = [
    `${formatCount(compared.images)} images of ${quote.source}, job ${compared.job}`,
    '',
    'processor time of decoding',
    ...figureLines({
      ...cpu,
      predicted: `${cpu.predicted}, from ${formatCount(quote.sample.images)} images`,
      error: `${cpu.error}, which is of the sample alone`,
    }),
    '',
    'duration, where decoding holds the run back',
    ...figureLines(heldText(compared.duration, formatSeconds)),
    '',
    'images that cannot be decoded',
    `  predicted   ${formatShare(compared.predictedRefused, compared.images)}`,
    `  actual      ${formatShare(compared.actualRefused, compared.images)}`,
    ...compared.remarks.map((remark) => `\nnote: ${remark}`),
  ];
  return `${lines.join('\n')}\n`;
}

async function jsonOf(file: string, what: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new SluiceError('source-invalid', `expected ${what}, cannot read ${file}: ${messageOf(cause)}`, {
      cause,
    });
  }
}
