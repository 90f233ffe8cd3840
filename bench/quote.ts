import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openJobSource } from '#cli/job-source.ts';
import { runLocalJob } from '#cli/local-job.ts';
import { progressFor } from '#cli/progress.ts';
import { comparison, readActual } from '#cli/quote/compare.ts';
import { quoteOf } from '#cli/quote/quote.ts';
import { RunConfig } from '#core/config.ts';
import { atMost, type BenchResult } from './support/bench.ts';
import { CORPORA, type Corpus, writeCorpus } from './support/corpora.ts';

const SEED = 1;
/** Of each corpus, in images. */
const SAMPLE_SHARE = 0.25;
const MAX_ERROR = 0.15;

/**
 * Is a quote right? Three corpora that have little in common are quoted from a quarter of their images; then all of each is
 * audited, and the processor time of the decoding processes is held against the quote.
 */
export async function quoteBench(): Promise<BenchResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  try {
    const results: BenchResult[] = [];
    for (const [i, corpus] of CORPORA.entries())
      results.push(...(await quotedAndRun(join(folder, String(i)), corpus)));
    return results;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function quotedAndRun(folder: string, corpus: Corpus): Promise<BenchResult[]> {
  const [images, out] = [join(folder, 'images'), join(folder, 'audit')];
  await writeCorpus(images, corpus, SEED);
  const sample = String(Math.round(corpus.images * SAMPLE_SHARE));
  const flags = { sample, seed: String(SEED), region: 'us-east-1', instance: 'g4dn.xlarge' };
  const quote = await quoteOf(images, flags, {}, new Date());
  if (quote === undefined) throw new Error('the quote was stopped');
  await runLocalJob(
    { source: await openJobSource(images), out, config: RunConfig.parse({}), force: false },
    progressFor({ quiet: true }),
    new AbortController().signal,
  );
  const { predictedCpuSeconds, actualCpuSeconds, error } = comparison(quote, await readActual(out));
  const { estimate, high } = quote.decoding.cpuMsPerImage;
  const name = `${corpus.images} ${corpus.name}`;
  return [
    { metric: `${name}: sample`, value: quote.sample.images, unit: 'images' },
    { metric: `${name}: predicted processor time`, value: predictedCpuSeconds, unit: 's' },
    { metric: `${name}: actual processor time`, value: actualCpuSeconds, unit: 's' },
    { metric: `${name}: half of the interval`, value: (high - estimate) / estimate, unit: 'ratio' },
    atMost(`${name}: error`, Math.abs(error), MAX_ERROR),
  ];
}
