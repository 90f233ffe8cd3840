import { short, valueAxis } from './axis.ts';
import { type Html, html } from './html.ts';

// Columns are SVG with geometry in attributes: the page's Content-Security-Policy forbids inline styles.

/** One column. Its parts lie on each other in their order. */
export interface Column {
  /** Below it: "21 Nov 2026". */
  readonly label: string;
  /** All about it, for whoever points at it. */
  readonly title: string;
  /** `kind` is a class of the style sheet. */
  readonly parts: readonly { readonly kind: string; readonly value: number }[];
}

export interface ColumnChart {
  /** What it shows in a sentence, for those who do not see it. */
  readonly description: string;
  /** At least one. */
  readonly columns: readonly Column[];
  /** A value as text on the axis. */
  readonly format: (value: number) => string;
}

const WIDTH = 720;
const HEIGHT = 240;
const LEFT = 76;
const RIGHT = 8;
const TOP = 12;
const BOTTOM = 30;
const MAX_COLUMN = 44;
/** So that a part which is there is seen. */
const MIN_PART = 1;
/** Thinner columns have no seams: nothing of them would be left. */
const MIN_SEAMED = 6;
/** Labels that have room beside each other. */
const LABELS = 6;
const LABEL_WIDTH = 76;

/** Columns side by side, each a stack. */
export function stackedColumns({ description, columns, format }: ColumnChart): Html {
  const { top, rows } = valueAxis(Math.max(0, ...columns.map(heightOf)));
  const y = (value: number): number => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / top;
  const pitch = (WIDTH - LEFT - RIGHT) / columns.length;
  const width = Math.min(MAX_COLUMN, pitch * 0.8);
  const middle = (index: number): number => LEFT + pitch * (index + 0.5);
  const labelEvery = Math.ceil(columns.length / LABELS);
  return html`<svg class="columns${width < MIN_SEAMED ? ' thin' : ''}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${description}">
${rows.map(
  (value) =>
    html`<line class="rule" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${short(y(value))}" y2="${short(y(value))}"/><text x="${LEFT - 8}" y="${short(y(value) + 4)}" text-anchor="end">${format(value)}</text>`,
)}
${columns.map((column, index) => stack(column, middle(index) - width / 2, width, y))}
${columns.map(
  ({ label }, index) =>
    index % labelEvery === 0 &&
    html`<text x="${short(Math.min(middle(index), WIDTH - LABEL_WIDTH / 2))}" y="${HEIGHT - 10}" text-anchor="middle">${label}</text>`,
)}
</svg>`;
}

function heightOf({ parts }: Column): number {
  return parts.reduce((sum, { value }) => sum + value, 0);
}

function stack({ title, parts }: Column, x: number, width: number, y: (value: number) => number): Html {
  let below = 0;
  // The least heights add up from the ground: parts that are hardly there push those above them up, by a pixel each.
  let bottom = y(0);
  const rects = parts
    .filter(({ value }) => value > 0)
    .map(({ kind, value }) => {
      below += value;
      const upper = Number(short(Math.min(y(below), bottom - MIN_PART)));
      const rect = html`<rect class="fill ${kind}" x="${x.toFixed(2)}" y="${upper}" width="${width.toFixed(2)}" height="${short(bottom - upper)}"/>`;
      bottom = upper;
      return rect;
    });
  return html`<g><title>${title}</title>${rects}</g>
`;
}
