import { short, valueAxis } from './axis.ts';
import { type Html, html, trusted } from './html.ts';

/** One line of a plot. */
export interface PlotLine {
  readonly name: string;
  /** Times ascending, in seconds. */
  readonly points: readonly (readonly [atS: number, value: number])[];
}

export interface TimePlot {
  readonly title: string;
  /** What the values are: "packs". */
  readonly unit: string;
  /** One to three. */
  readonly lines: readonly PlotLine[];
  /** How far the axis goes at least: 1 for a share. */
  readonly atLeast?: number;
  /** A value as text on the axis. */
  readonly label: (value: number) => string;
}

const WIDTH = 720;
const HEIGHT = 260;
const LEFT = 64;
const RIGHT = 16;
const TOP = 44;
const BOTTOM = 34;

// A file of its own: it brings its style along, for a light page and for a dark one.
const STYLE = trusted(`<style>
svg { color-scheme: light dark; font: 12px system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; font-variant-numeric: tabular-nums; }
.page { fill: #fff; } .text { fill: #1a2330; } .soft { fill: #5a6675; } .grid { stroke: #dfe4ea; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.l0 { stroke: #0b6b8a; } .l1 { stroke: #b46a0d; } .l2 { stroke: #6d4bb0; } .k0 { fill: #0b6b8a; } .k1 { fill: #b46a0d; } .k2 { fill: #6d4bb0; }
@media (prefers-color-scheme: dark) {
  .page { fill: #19202a; } .text { fill: #e5eaf0; } .soft { fill: #9aa7b6; } .grid { stroke: #2d3846; }
  .l0 { stroke: #6cc3e0; } .l1 { stroke: #e9b45c; } .l2 { stroke: #b9a2ee; } .k0 { fill: #6cc3e0; } .k1 { fill: #e9b45c; } .k2 { fill: #b9a2ee; }
}
</style>`);

/** Values over time, as an SVG document. A value holds until the next one. */
export function timePlot(plot: TimePlot): Html {
  const { title, unit, lines, label } = plot;
  const points = lines.flatMap((line) => line.points);
  const endS = Math.max(1, ...points.map(([atS]) => atS));
  const highest = Math.max(plot.atLeast ?? 0, ...points.map(([, value]) => value));
  const { top, rows } = valueAxis(highest);
  const x = (atS: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * atS) / endS;
  const y = (value: number): number => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / top;

  const hours = timeTicks(endS);
  return html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
${STYLE}<rect class="page" width="${WIDTH}" height="${HEIGHT}" rx="8"/>
<text class="text" x="16" y="25" font-size="14" font-weight="600">${title}</text>
${rows.map(
  (value) =>
    html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${short(y(value))}" y2="${short(y(value))}"/><text class="soft" x="${LEFT - 8}" y="${short(y(value) + 4)}" text-anchor="end">${label(value)}</text>`,
)}
${hours.map(
  ({ atS, text }) =>
    html`<text class="soft" x="${short(x(atS))}" y="${HEIGHT - 12}" text-anchor="middle">${text}</text>`,
)}
${legend(lines, unit)}
${lines.map((line, i) => html`<path class="line l${i}" d="${stepPath(line, x, y)}"/>`)}
</svg>
`;
}

/** Names of the lines from the right, in their colours; a single one says what it counts. */
function legend(lines: readonly PlotLine[], unit: string): Html[] {
  if (lines.length === 1) {
    return [html`<text class="soft" x="${WIDTH - RIGHT}" y="25" text-anchor="end">${unit}</text>`];
  }
  let right = WIDTH - RIGHT;
  return lines
    .map((line, i) => ({ line, i }))
    .reverse()
    .map(({ line, i }) => {
      const text = html`<text class="k${i}" x="${right}" y="25" text-anchor="end">${line.name}</text>`;
      right -= line.name.length * 7 + 16;
      return text;
    });
}

/** Goes right at each value, then up or down; values that stay the same are left out. */
function stepPath({ points }: PlotLine, x: (atS: number) => number, y: (value: number) => number): string {
  let path = '';
  let last = '';
  points.forEach(([atS, value], i) => {
    const at = short(y(value));
    if (path === '') path = `M${short(x(atS))} ${at}`;
    else if (at !== last) path += `H${short(x(atS))}V${at}`;
    else if (i === points.length - 1) path += `H${short(x(atS))}`;
    last = at;
  });
  return path;
}

const TIME_STEPS: readonly (readonly [number, string, number])[] = [
  [10, 's', 1],
  [60, 'min', 60],
  [300, 'min', 60],
  [600, 'min', 60],
  [1800, 'min', 60],
  [3600, 'h', 3600],
  [2 * 3600, 'h', 3600],
  [6 * 3600, 'h', 3600],
  [24 * 3600, 'd', 86_400],
  [7 * 86_400, 'd', 86_400],
];

function timeTicks(endS: number): { atS: number; text: string }[] {
  const [stepS, unit, size] = TIME_STEPS.find(([seconds]) => endS / seconds <= 10) ?? TIME_STEPS.at(-1)!;
  return Array.from({ length: Math.floor(endS / stepS) + 1 }, (_, i) => ({
    atS: i * stepS,
    text: `${(i * stepS) / size} ${unit}`,
  }));
}
