import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openJobSource } from '#cli/job-source.ts';
import { runLocalJob } from '#cli/local-job.ts';
import { progressFor } from '#cli/progress.ts';
import { comparison, readActual } from '#cli/quote/compare.ts';
import { quoteOf } from '#cli/quote/quote.ts';
import { RunConfig } from '#core/config.ts';
import { atMost, type BenchResult, median } from './support/bench.ts';
import { CORPORA, writeCorpus } from './support/corpora.ts';

/** Of what is drawn as a sample, and of what the made corpora consist of. */
const SEEDS = [1, 2, 3];
/** Of each corpus, in images. */
const SAMPLE_SHARE = 0.25;
/** Real files of many kinds: so few that a quarter would be a handful. */
const REAL_SHARE = 0.5;
/** Each real file so many times: by itself it is decoded too fast to tell the time of. */
const REAL_COPIES = 8;
const MAX_ERROR = 0.15;

/**
 * Is a quote right? Three corpora that have little in common, each in several versions, and real files where there are any
 * (`SLUICE_SHARED_DIR`, `corpus/good`) are quoted from a part of their images; then all of each is audited, and the processor
 * time of the decoding processes is held against the quote. The machine may become faster or slower between the two: what is to be
 * small is the median over the versions.
 */
export async function quoteBench(): Promise<BenchResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const results: BenchResult[] = [];
  const errors = new Map<string, number[]>();
  const measure = async (
    corpus: string,
    images: string,
    sample: { images: number; seed: number },
  ): Promise<void> => {
    const name = `${corpus}, seed ${sample.seed}`;
    const { figures, error } = await quotedAndRun(name, images, join(folder, 'audit'), sample);
    results.push(...figures, { metric: `${name}: error`, value: error, unit: 'ratio' });
    errors.set(corpus, [...(errors.get(corpus) ?? []), error]);
  };
  try {
    for (const seed of SEEDS) {
      for (const corpus of CORPORA) {
        const images = join(folder, 'images');
        await writeCorpus(images, corpus, seed);
        const sample = { images: Math.round(corpus.images * SAMPLE_SHARE), seed };
        await measure(`${corpus.images} ${corpus.name}`, images, sample);
        await rm(images, { recursive: true });
      }
    }
    const real = join(folder, 'real');
    const count = await copyRealFiles(real);
    if (count > 0) {
      for (const seed of SEEDS) {
        const sample = { images: Math.round(count * REAL_SHARE), seed };
        await measure(`${count} real files of many kinds`, real, sample);
      }
    }
    for (const [corpus, some] of errors)
      results.push(atMost(`${corpus}: error, median of ${some.length}`, median(some), MAX_ERROR));
    return results;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function quotedAndRun(
  name: string,
  images: string,
  out: string,
  sample: { images: number; seed: number },
): Promise<{ figures: BenchResult[]; error: number }> {
  const flags = {
    sample: String(sample.images),
    seed: String(sample.seed),
    region: 'us-east-1',
    instance: 'g4dn.xlarge',
    market: 'spot' as const,
  };
  const quote = await quoteOf(images, flags, {}, new Date());
  if (quote === undefined) throw new Error('the quote was stopped');
  await runLocalJob(
    { source: await openJobSource(images), out, config: RunConfig.parse({}), force: true },
    progressFor({ quiet: true }),
    new AbortController().signal,
  );
  const { predictedCpuSeconds, actualCpuSeconds, error } = comparison(quote, await readActual(out));
  const { estimate, high } = quote.decoding.cpuMsPerImage;
  await rm(out, { recursive: true });
  const figures = [
    { metric: `${name}: sample`, value: quote.sample.images, unit: 'images' },
    { metric: `${name}: predicted processor time`, value: predictedCpuSeconds, unit: 's' },
    { metric: `${name}: actual processor time`, value: actualCpuSeconds, unit: 's' },
    { metric: `${name}: half of the interval`, value: (high - estimate) / estimate, unit: 'ratio' },
  ];
  return { figures, error: Math.abs(error) };
}

/** @returns how many files there are now. */
async function copyRealFiles(to: string): Promise<number> {
  const shared = process.env['SLUICE_SHARED_DIR'];
  if (shared === undefined) return 0;
  const from = join(shared, 'corpus', 'good');
  const names = (await readdir(from)).filter((name) => !name.endsWith('.tsv'));
  for (const name of names) {
    for (let i = 0; i < REAL_COPIES; i++) await cp(join(from, name), join(to, `${i}-${name}`));
  }
  return names.length * REAL_COPIES;
}
