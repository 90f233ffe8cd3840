import { relative } from 'node:path';
import { CLEAR_LEAD } from '#models/precision/derive/compare-models.ts';
import type { DeriveReport } from '#models/precision/derive/derive-model.ts';

const MOST_LABELS = 15;
const MOST_FLIPS = 20;

/** What a model of lower precision costs and gains, for people. */
export function precisionReport(report: DeriveReport): string {
  const { precision, quantization, agreement, bytes, timing, heldOut, written, skipped } = report;
  const row = (name: string, value: string): string => `  ${name.padEnd(12)} ${value}\n`;
  const { images, top1, clearTop1, clearImages, meanDifference, maxDifference, verdictFlips } = agreement;
  const megabytes = (count: number): string => `${(count / 1e6).toFixed(1)} MB`;
  return [
    quantization === undefined
      ? `${precision}\n`
      : `${precision} for a ${quantization.target.toUpperCase()}: ${quantization.layers} layers in integers, ${quantization.floatLayers.length} in float32\n`,
    quantization === undefined
      ? ''
      : row(
          'calibrated',
          `${quantization.calibrator}, ${quantization.images} images${advice(quantization.images)}`,
        ),
    skipped.length === 0
      ? ''
      : row('left out', `${skipped.length} files that cannot be decoded: ${some(skipped, 5)}`),
    row('compared', `${images} images${heldOut ? '' : ', the same ones that it was calibrated with'}`),
    row(
      'best label',
      `agrees for ${percent(top1)}${clearTop1 === null ? '' : `; for ${percent(clearTop1)} of the ${clearImages} images where it leads by ${CLEAR_LEAD} or more`}`,
    ),
    row(
      'scores',
      `differ by ${maxDifference.toPrecision(3)} at most, ${meanDifference.toPrecision(3)} in the mean`,
    ),
    row(
      'verdicts',
      verdictFlips.length === 0 ? 'none changes under the policy' : `${verdictFlips.length} change`,
    ),
    row('file', `${megabytes(bytes.float)} → ${megabytes(bytes.derived)}`),
    row(
      'CPU, 1 thread',
      `${timing.floatMs.toFixed(1)} → ${timing.derivedMs.toFixed(1)} ms an image: ${timing.ratio.toFixed(2)} times as fast`,
    ),
    ...flips('labels that change', agreement.labelFlips),
    ...flips('verdicts that change', verdictFlips),
    ...byLabel(agreement),
    written === undefined ? '\nnothing was written\n' : `\nwritten to ${shown(written)}\n`,
  ].join('');
}

function advice(images: number): string {
  return images < 100 ? ' (500 to 1000 are better)' : '';
}

function flips(title: string, all: DeriveReport['agreement']['labelFlips']): string[] {
  if (all.length === 0) return [];
  const lines = all.slice(0, MOST_FLIPS).map(({ image, from, to }) => `  ${image}: ${from} → ${to}\n`);
  const more = all.length - lines.length;
  return [`\n${title}\n`, ...lines, ...(more > 0 ? [`  … and ${more} more: --json has them all\n`] : [])];
}

function byLabel({ byLabel: rows }: DeriveReport['agreement']): string[] {
  const width = Math.max(...rows.slice(0, MOST_LABELS).map(({ label }) => label.length));
  const lines = rows
    .slice(0, MOST_LABELS)
    .map(
      ({ label, images, agreed, meanDifference, maxDifference }) =>
        `  ${label.padEnd(width)}  ${String(agreed).padStart(5)} of ${String(images).padEnd(5)}  ${meanDifference.toFixed(4)}  ${maxDifference.toFixed(4)}\n`,
    );
  const more = rows.length - lines.length;
  return [
    '\nby best label: how many images keep it, mean and largest difference of its score\n',
    ...lines,
    ...(more > 0 ? [`  … and ${more} more labels that agree as well or better: --json has them all\n`] : []),
  ];
}

function some(names: readonly string[], most: number): string {
  return `${names.slice(0, most).join(', ')}${names.length > most ? ' …' : ''}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function shown(folder: string): string {
  const below = relative(process.cwd(), folder);
  return below.startsWith('..') ? folder : `./${below}`;
}
