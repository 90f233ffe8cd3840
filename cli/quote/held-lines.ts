import type { HeldJob } from '#core/quote/held-job.ts';
import { formatCount } from '#report/format.ts';
import { type HeldText, heldTexts, heldTitle } from '#report/held-figures.ts';

/** A quote held against a job, for a person at a terminal. */
export function heldLines(held: HeldJob): string {
  const lines = [
    `${held.job}: ${formatCount(held.planned)} images, ${heldTitle(held)}`,
    ...heldTexts(held).flatMap((text) => ['', text.name, ...figureLines(text)]),
    ...held.remarks.map((remark) => `\nnote: ${remark}`),
  ];
  return `${lines.join('\n')}\n`;
}

export function figureLines({ predicted, actual, error }: HeldText): string[] {
  return [`  predicted   ${predicted}`, `  actual      ${actual}`, `  error       ${error}`];
}
