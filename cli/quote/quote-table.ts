import type { Interval, Quote } from '#core/quote/quote.ts';
import {
  formatBytes,
  formatCount,
  formatInterval,
  formatMeasure,
  formatSeconds,
  formatShare,
} from '#report/format.ts';

/** A quote for a person at a terminal. */
export function quoteTable(quote: Quote): string {
  const { sample, decoding, fleet, refused } = quote;
  const rows: [string, string][] = [
    [
      'sample',
      `${formatCount(sample.images)} images decoded, by format and file size, seed ${sample.seed}; intervals are 95 %, and of the sample alone`,
    ],
    ['unreadable', refusedText(quote, refused)],
    [
      'here',
      `${formatInterval(decoding.cpuSeconds, formatSeconds)} of processor time for decoding, ${formatInterval(decoding.cpuMsPerImage, milliseconds)} an image`,
    ],
    [
      '',
      `${formatInterval(decoding.seconds, formatSeconds)} on ${decoding.processes} processes, where decoding holds "sluice run" back`,
    ],
    ['', ''],
    [
      'on AWS',
      `${formatCount(fleet.invocations)} invocations at a time, up to ${formatCount(fleet.workers)} ${fleet.instance} (${fleet.market}), ${fleet.region}; simulated`,
    ],
    [
      '  cost',
      `${formatInterval(fleet.usd, dollars)}, or ${formatInterval(fleet.usdPerMillion, dollars)} a million images`,
    ],
    ['  done after', `${formatInterval(fleet.seconds, formatSeconds)}${deadlineText(fleet)}`],
    ['  bottleneck', bottleneckText(fleet.bottleneck)],
    ...fleet.limits.map((limit): [string, string] => ['  binds', limit]),
  ];
  const lines = [
    `${formatCount(quote.images)} images, ${formatBytes(quote.bytes)}, ${formatMeasure(quote.megapixels)} megapixels on average, model ${quote.model}`,
    '',
    ...rows.map(([name, text]) => `${name.padEnd(14)}${text}`.trimEnd()),
    '',
    'format         file size                images  sampled  ms each   ± (s.d.)',
    ...sample.strata.map(stratumLine),
    '',
    'cost',
    ...fleet.items.map(
      ({ item, detail, usd }) => `  ${item.padEnd(22)}${dollars(usd).padStart(10)}  ${detail}`,
    ),
    '',
    'assumed, not measured (--measurements takes your own); the cost and duration of the fleet are 25 % wider to either side for them:',
    ...Object.entries(fleet.assumed).map(
      ([name, { value, note }]) => `  ${name.padEnd(20)}${value}  ${note}`,
    ),
  ];
  if (quote.sourceProblems > 0)
    lines.splice(
      1,
      0,
      `${formatCount(quote.sourceProblems)} lines of the manifest name no image, or parts of the folder cannot be read`,
    );
  return `${lines.join('\n')}\n`;
}

function refusedText({ sample, images }: Quote, refused: Interval): string {
  if (sample.refused === 0) {
    return `none of the sample${refused.high > 0 ? `; of all, up to ${formatCount(refused.high)} (${formatShare(refused.high, images)})` : ''}`;
  }
  const codes = Object.entries(sample.refusals).map(([code, count]) => `${count} ${code}`);
  return (
    `${formatCount(sample.refused)} of the sample (${codes.join(', ')}); of all, ${formatInterval(refused, formatCount)} ` +
    `(${formatShare(refused.estimate, images)})`
  );
}

function deadlineText({ deadlineSeconds, inTime, hopeless }: Quote['fleet']): string {
  if (deadlineSeconds === undefined) return '; --deadline finds the smallest fleet for a time';
  const missed = hopeless === true ? 'MISSED, and no fleet can meet it' : 'MISSED at the upper end';
  const verdict = inTime === true ? 'met, also at the upper end' : missed;
  return `; the deadline of ${formatSeconds(deadlineSeconds)} is ${verdict}`;
}

function bottleneckText({ stage, heldBackBy, imagesPerSecond, rates }: Quote['fleet']['bottleneck']): string {
  const others = Object.entries(rates)
    .filter(([name]) => name !== stage)
    .map(([name, rate]) => `${name} ${formatMeasure(rate)}`);
  return `${stage}, ${formatMeasure(imagesPerSecond)} images/s, held back by ${HELD_BACK[heldBackBy] ?? heldBackBy} (${others.join(', ')})`;
}

const HELD_BACK: Readonly<Record<string, string>> = {
  processor: 'the processor',
  latency: "S3's latency",
  network: 'the network',
  model: 'the model',
  feeding: 'reading and checking packs',
};

function stratumLine(stratum: Quote['sample']['strata'][number]): string {
  const { format, fromBytes, toBytes, images, sampled, cpuMs, cpuMsDeviation } = stratum;
  const size = `${formatBytes(fromBytes)} to ${formatBytes(toBytes)}`;
  const cells = [
    format.padEnd(13),
    size.padEnd(22),
    formatCount(images).padStart(8),
    formatCount(sampled).padStart(8),
    cpuMs.toFixed(2).padStart(8),
    cpuMsDeviation.toFixed(2).padStart(10),
  ];
  return `  ${cells.join(' ')}`.trimEnd();
}

function milliseconds(ms: number): string {
  return `${formatMeasure(ms)} ms`;
}

function dollars(usd: number): string {
  return `$${usd.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}
