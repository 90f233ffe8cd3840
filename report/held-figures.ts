import type { Held } from '#core/quote/held.ts';
import type { HeldFigure, HeldJob } from '#core/quote/held-job.ts';
import { ASSUMED_RANGE } from '#core/quote/quote.ts';
import { table } from './cost-sections.ts';
import { formatCount, formatDay, formatInterval, formatSeconds } from './format.ts';
import { type Html, html } from './html.ts';
import { formatQuantity, formatUsd } from './money.ts';

const FIGURES: Readonly<
  Record<HeldFigure['figure'], readonly [name: string, format: (value: number) => string]>
> = {
  seconds: ['duration, from submission to proof', formatSeconds],
  decodeSeconds: ['processor time of decoding', formatSeconds],
  functionSeconds: ['time of the functions that preprocess', formatSeconds],
  lambdaGbSeconds: ['their Lambda compute', (value) => formatQuantity(value, 'GB-s')],
  usd: ['dollars', formatUsd],
  unreadable: ['images that cannot be decoded', formatCount],
};

/** A figure that was predicted, and what it came to, in words. */
export interface HeldText {
  readonly predicted: string;
  readonly actual: string;
  readonly error: string;
}

export function heldText(
  { predicted, actual, error, isInside }: Held,
  format: (value: number) => string,
): HeldText {
  const where = `${isInside ? 'inside' : 'outside'} the interval`;
  const percent = error === undefined ? undefined : Math.abs(error * 100).toFixed(1);
  return {
    predicted: formatInterval(predicted, format),
    actual: format(actual),
    error: percent === undefined ? where : `${percent} % too ${(error ?? 0) < 0 ? 'low' : 'high'}, ${where}`,
  };
}

/** Each figure of a job with its name. */
export function heldTexts({ figures }: HeldJob): (HeldText & { readonly name: string })[] {
  return figures.map((figure) => {
    const [name, format] = FIGURES[figure.figure];
    return { name, ...heldText(figure, format) };
  });
}

/** What was quoted, when, and for how many images. */
export function heldTitle({ quotedAt, quotedImages, source }: HeldJob): string {
  return `quoted on ${formatDay(quotedAt)}, ${formatCount(quotedImages)} images of ${source}`;
}

/** The section of a cost page. */
export function heldSection(held: HeldJob): Html {
  return table(
    'quote',
    'The quote',
    [
      `As ${heldTitle(held)}. Intervals are 95 %, and of the sample alone; those of the fleet are ${ASSUMED_RANGE * 100} % wider to either side for what is assumed.`,
      ...held.remarks,
    ].join(' · '),
    html`<tr><th scope="col">Figure</th><th scope="col" class="number">Quoted</th><th scope="col" class="number">Actual</th><th scope="col">Error of the quote</th></tr>`,
    heldTexts(held).map(
      ({ name, predicted, actual, error }) => html`
      <tr><th scope="row">${name.charAt(0).toUpperCase() + name.slice(1)}</th><td class="number">${predicted}</td><td class="number">${actual}</td><td>${error}</td></tr>`,
    ),
  );
}
