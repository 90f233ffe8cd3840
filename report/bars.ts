import { formatCount, formatMeasure, formatShare } from './format.ts';
import { type Html, html } from './html.ts';
import type { ReportBound } from './report-data.ts';

// Bars are SVG with geometry in attributes: the page's Content-Security-Policy forbids inline styles.

/** One part of a stacked bar. `kind` is a class of the style sheet. */
export interface BarPart {
  readonly kind: string;
  readonly label: string;
  readonly count: number;
}

/** Narrower than this, one image in a million would not be seen, in percent of the bar. */
const MIN_PART_PERCENT = 0.7;

/** One bar whose parts add up to the whole. */
export function stackedBar(parts: readonly BarPart[]): Html {
  const shown = parts.filter((part) => part.count > 0);
  const whole = shown.reduce((sum, part) => sum + part.count, 0);
  const wanted = shown.map((part) => Math.max(MIN_PART_PERCENT, (100 * part.count) / whole));
  const scale = 100 / wanted.reduce((sum, percent) => sum + percent, 0);
  const label = shown
    .map((part) => `${part.label} ${formatCount(part.count)} (${formatShare(part.count, whole)})`)
    .join(', ');
  let x = 0;
  const rects = shown.map((part, index) => {
    const width = (wanted[index] ?? 0) * scale;
    const rect = html`<rect class="fill ${part.kind}" x="${percent(x)}" width="${percent(width)}" height="100%"><title>${part.label}: ${formatCount(part.count)} (${formatShare(part.count, whole)})</title></rect>`;
    // The seam is drawn over the left edge of each part but the first, so that parts stay apart without colour.
    const seam = index > 0 && html`<rect class="seam" x="${percent(x)}" width="2" height="100%"/>`;
    x += width;
    return [rect, seam];
  });
  return html`<svg class="stacked" role="img" aria-label="${label || 'no images'}">${rects}</svg>`;
}

/** A thin bar for one share of a whole; the number stands beside it, so it is hidden from screen readers. */
export function shareBar(kind: string, part: number, whole: number): Html {
  const share = whole > 0 && part > 0 ? Math.max(MIN_PART_PERCENT, (100 * part) / whole) : 0;
  return html`<svg class="share" aria-hidden="true"><rect class="track" width="100%" height="100%" rx="4"/><rect class="fill ${kind}" width="${percent(Math.min(100, share))}" height="100%" rx="4"/></svg>`;
}

/** Where a measure lies on its scale, with the flagged side of the threshold tinted. */
export function gauge(kind: string, value: number, bound: ReportBound): Html {
  const limits = [bound.below, bound.above].filter((limit) => limit !== undefined);
  const top = [value, ...limits].every((number) => number >= 0 && number <= 1)
    ? 1
    : Math.max(...[value, ...limits].map(Math.abs)) * 1.25;
  const at = (number: number): number => Math.min(100, Math.max(0, (100 * number) / top));
  const from = bound.above === undefined ? 0 : at(bound.above);
  const to = bound.below === undefined ? 100 : at(bound.below);
  const ticks = limits.map(
    (limit) => html`<rect class="tick" x="${percent(at(limit))}" y="1" width="2" height="14" rx="1"/>`,
  );
  // Kept off both ends, or the dot would be cut in half.
  const dot = Math.min(98, Math.max(2, at(value)));
  return html`<svg class="gauge" aria-hidden="true"><rect class="track" y="6" width="100%" height="4" rx="2"/><rect class="fill soft ${kind}" x="${percent(from)}" y="6" width="${percent(Math.max(0, to - from))}" height="4" rx="2"/>${ticks}<circle class="fill dot ${kind}" cx="${percent(dot)}" cy="8" r="4.5"/></svg>`;
}

/** The threshold that a value crossed: "< 0.32", "> 0.95". Empty when it crossed none. */
export function crossed(value: number, bound: ReportBound): string {
  const below = bound.below !== undefined && value < bound.below;
  const above = bound.above !== undefined && value > bound.above;
  if (bound.below !== undefined && !below) return '';
  if (bound.above !== undefined && !above) return '';
  return [above && `> ${formatMeasure(bound.above ?? 0)}`, below && `< ${formatMeasure(bound.below ?? 0)}`]
    .filter((side) => side !== false)
    .join(' and ');
}

function percent(value: number): string {
  return `${Number.isFinite(value) ? Number(value.toFixed(3)) : 0}%`;
}
