import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { loadModel } from '#adapters/model-folder.ts';
import { readPrices } from '#adapters/price-files.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import { localPackSize } from '#core/config.ts';
import { SluiceError } from '#core/error.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import { type Interval, Quote, scaled } from '#core/quote/quote.ts';
import { SampledSource } from '#core/quote/sampled-source.ts';
import { spread } from '#core/quote/stratified-estimate.ts';
import { findingsOf, type MeasuredStratum, takeSample } from '#core/quote/take-sample.ts';
import { batchOf } from '#workers/model-batch.ts';
import { billTerms, doubts } from '../capacity/bill-terms.ts';
import { capacityRequest, givenMeasurements } from '../capacity/capacity-flags.ts';
import { EXIT } from '../exit-codes.ts';
import { type JobSource, openJobSource } from '../job-source.ts';
import { cpuEngine } from '../local-job.ts';
import { readConfig } from '../read-config.ts';
import { stopOnSignals } from '../stop-signal.ts';
import { openActual } from './against.ts';
import { readQuote } from './compare.ts';
import { fleetQuote } from './fleet-quote.ts';
import { MeasuredImages } from './measured-images.ts';
import { capacityFlags, type QuoteFlags, sampleSize } from './quote-flags.ts';
import { quoteTable } from './quote-table.ts';

/** `sluice quote`: what auditing a source takes and costs, from a sample of its images. @returns the exit code. */
export async function quote(
  sourcePath: string,
  flags: QuoteFlags,
  env: Readonly<Record<string, string | undefined>>,
  now: Date,
): Promise<number> {
  const { against } = flags;
  // What the quote is held against is read first: nobody waits for a sample to learn of a typo.
  const actual = against === undefined ? undefined : await openActual(against, flags, env);
  const saved = actual === undefined ? undefined : await readQuote(sourcePath);
  const found = saved ?? (await quoteOf(sourcePath, flags, env, now));
  if (found === undefined) return EXIT.stopped;
  if (flags.out !== undefined) await writeFile(flags.out, `${JSON.stringify(found, undefined, 2)}\n`);
  const { value, text } =
    actual === undefined ? { value: found, text: () => quoteTable(found) } : await actual(found);
  process.stdout.write(flags.json === true ? `${JSON.stringify(value)}\n` : text());
  return EXIT.ok;
}

/** The quote of a source. @returns `undefined` where it was stopped. */
export async function quoteOf(
  sourcePath: string,
  flags: QuoteFlags,
  env: Readonly<Record<string, string | undefined>>,
  now: Date,
): Promise<Quote | undefined> {
  const config = await readConfig({ flags: { ...flags }, env, file: flags.config });
  const size = sampleSize(flags);
  const given = await givenMeasurements(flags.measurements);
  const capacity = capacityFlags(flags);
  const request = await capacityRequest(capacity);
  const prices = await readPrices(flags.region, flags.prices);
  const terms = billTerms(capacity, request.wishes.spotHourUsd);
  for (const doubt of doubts(terms, prices, given, now)) process.stderr.write(`sluice: ${doubt}\n`);
  const model = await loadModel(config.model);
  const { manifest } = model;
  const source = await openJobSource(sourcePath, flags.root);
  using stop = stopOnSignals((text) => process.stderr.write(text));

  try {
    const listed = new SampledSource({ seed: size.seed, capacity: size.mostImages });
    const { include, exclude } = config;
    const filter = { include, exclude, excludePrefixes: [] };
    const problems = await list(source, listed, filter, stop.signal);
    const spec = manifest.preprocess;
    const processes = config.processes ?? availableParallelism();
    await using engine = await cpuEngine(model, config);
    await using images = await MeasuredImages.begin({
      infer: (pack) => engine.run(batchOf([pack], manifest)),
      source: source.location,
      preprocess: spec,
      config,
      packSize: config.packSize ?? localPackSize(listed.images, processes),
      seed: size.seed,
    });
    process.stderr.write(
      `${listed.images.toLocaleString('en-US')} images listed; decoding a sample of them\n`,
    );
    const strata = await takeSample(listed.strata(size.images), size, (refs) =>
      images.measure(refs, stop.signal),
    );
    const { cpuMs, refused, megapixels, sampled, sampledRefused, refusals } = findingsOf(strata);
    const perImage = scaled(cpuMs, 1 / listed.images);
    const startCpuSeconds = images.startCpuMs / 1000;
    const decodingCpu = shifted(scaled(cpuMs, 1 / 1000), processes * startCpuSeconds);
    return Quote.parse({
      schema: 1,
      source: source.label,
      model: manifest.name,
      preprocessHash: preprocessHash(spec),
      softwareVersion: softwareVersion(),
      quotedAt: now.toISOString(),
      images: listed.images,
      bytes: listed.bytes,
      sourceProblems: problems,
      sample: {
        seed: size.seed,
        images: sampled,
        refused: sampledRefused,
        refusals,
        strata: strata.map(stratumRow),
      },
      refused: scaled(refused, 1),
      megapixels,
      decoding: {
        processes,
        cpuMsPerImage: perImage,
        startCpuSeconds,
        cpuSeconds: decodingCpu,
        seconds: scaled(decodingCpu, 1 / Math.min(processes, availableParallelism())),
      },
      fleet: fleetQuote(
        {
          images: listed.images,
          imageBytes: listed.bytes / listed.images,
          megapixels,
          cpuMs: perImage,
          edgePx: Math.round(Math.sqrt(spec.widthPx * spec.heightPx)),
        },
        request,
        { terms, prices, given },
      ),
    });
  } catch (error) {
    if (stop.signal.aborted) return undefined;
    throw error;
  }
}

/** @returns how many lines of a manifest name no image. @throws SluiceError `source-invalid` for a source without any. */
async function list(
  source: JobSource,
  into: SampledSource,
  filter: Parameters<JobSource['entries']>[0],
  signal: AbortSignal,
): Promise<number> {
  let problems = 0;
  for await (const entry of source.entries(filter, signal)) {
    if ('problem' in entry) problems++;
    else into.add(entry.ref);
  }
  if (into.images > 0) return problems;
  const reason =
    problems > 0
      ? `none of its ${problems} line(s) names an image`
      : 'it is empty, or no key passes --include and --exclude';
  throw new SluiceError('source-invalid', `nothing to quote in "${source.label}": ${reason}`);
}

function stratumRow({ measured, format, fromBytes, toBytes, images }: MeasuredStratum) {
  const { mean, variance } = spread(measured.map(({ cpuMs }) => cpuMs));
  return {
    format,
    fromBytes,
    toBytes,
    images,
    sampled: measured.length,
    refused: measured.filter(({ refusal }) => refusal !== undefined).length,
    cpuMs: mean,
    cpuMsDeviation: Math.sqrt(variance),
  };
}

function shifted({ estimate, low, high }: Interval, by: number): Interval {
  return { estimate: estimate + by, low: low + by, high: high + by };
}
