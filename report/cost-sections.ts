import { assumptionLines } from '#core/cost/assumptions.ts';
import type { JobCost } from '#core/cost/job-cost.ts';
import { type Prices, pricesAsOf } from '#core/cost/prices.ts';
import { shareBar } from './bars.ts';
import { formatSeconds, formatShare, titleOf } from './format.ts';
import { type Html, html } from './html.ts';
import { formatQuantity, formatUsd } from './money.ts';

// What the pages about cost are put together from.

export type Section = readonly [id: string, label: string];

export function navigation(sections: readonly Section[]): Html {
  return html`<nav aria-label="Sections"><ul>${sections.map(([id, label]) => html`<li><a href="#${id}">${label}</a></li>`)}</ul></nav>`;
}

/** The head of a page: what it is about, and its figures in large. */
export function masthead(title: string, lead: string, tiles: readonly Html[]): Html {
  return html`
<header class="masthead" id="overview">
  <p class="brand"><span>Sluice</span> cost report</p>
  <h1><bdi>${title}</bdi></h1>
  <p class="lead">${lead}</p>
</header>
<section class="panel" aria-labelledby="totals">
  <h2 id="totals" class="sr">Totals</h2>
  <div class="equation">
    ${tiles}
  </div>
</section>`;
}

export function tile(label: string, value: string, hint: string): Html {
  return html`<div class="tile"><span class="label">${label}</span><b>${value}</b><span class="hint">${hint}</span></div>`;
}

/** By stage, and by resource. */
export function breakdown({ byStage, byResource, usd: whole }: JobCost): Html {
  return html`
${shares(
  'stages',
  'By stage',
  'Stage',
  byStage.map((row) => [titleOf(row.stage), row]),
  whole,
)}
${shares(
  'resources',
  'By resource',
  'Resource',
  byResource.map((row) => [row.resource, row]),
  whole,
)}`;
}

interface Rate {
  readonly usd: number;
  readonly usdPerMillion: number | undefined;
}

function rate(usdPerMillion: number | undefined): string {
  return usdPerMillion === undefined ? '–' : formatUsd(usdPerMillion);
}

function shares(
  id: string,
  title: string,
  column: string,
  rows: readonly (readonly [string, Rate])[],
  whole: number,
): Html {
  return table(
    id,
    title,
    undefined,
    html`<tr><th scope="col">${column}</th><th scope="col" class="number">Dollars</th><th scope="col" class="number">A million</th><th scope="col" class="number">Share</th><th scope="col"><span class="sr">Share as a bar</span></th></tr>`,
    rows.map(
      ([name, { usd, usdPerMillion }]) => html`
      <tr class="${usd > 0 ? 'some' : 'zero'}"><th scope="row">${name}</th><td class="number">${formatUsd(usd)}</td><td class="number">${rate(usdPerMillion)}</td><td class="number share-of">${formatShare(usd, whole)}</td><td class="bar">${shareBar('pass', usd, whole)}</td></tr>`,
    ),
  );
}

export function waste({ waste, usd: whole, batchFill, wastedSeconds }: JobCost): Html {
  const { functions, workers, heldUpByRetries } = wastedSeconds;
  const fill =
    batchFill === undefined
      ? 'No batch was run.'
      : `Batches were ${formatShare(batchFill, 1)} full; their empty room is counted as if it cost as much as the rest, which is the most it can have cost.`;
  return table(
    'waste',
    'Spent for nothing',
    `Repeated work: of deliveries that came twice or were lost. Retries: tries of requests that were billed and not the last. ${fill} Repeated work took functions ${formatSeconds(functions)} and workers ${formatSeconds(workers)}; retries held calls up for ${formatSeconds(heldUpByRetries)}, within the time of both.`,
    html`<tr><th scope="col">Waste</th><th scope="col" class="number">Dollars</th><th scope="col" class="number">Share</th><th scope="col"><span class="sr">Share as a bar</span></th></tr>`,
    waste.map(
      (row) => html`
      <tr class="${row.usd > 0 ? 'some' : 'zero'}"><th scope="row">${titleOf(row.waste)}</th><td class="number">${formatUsd(row.usd)}</td><td class="number share-of">${formatShare(row.usd, whole)}</td><td class="bar">${shareBar('reject', row.usd, whole)}</td></tr>`,
    ),
  );
}

export function alternatives({ alternatives, usd, usdPerMillion }: JobCost): Html {
  const row = (name: string, dollars?: number, perMillion?: number, how?: string): Html => html`
      <tr><th scope="row">${name}</th><td class="number">${dollars === undefined ? '–' : formatUsd(dollars)}</td><td class="number">${perMillion === undefined ? '–' : formatUsd(perMillion)}</td><td class="rule">${how}</td></tr>`;
  return table(
    'elsewhere',
    'The same images elsewhere',
    undefined,
    html`<tr><th scope="col">Service</th><th scope="col" class="number">Dollars</th><th scope="col" class="number">A million</th><th scope="col">Reckoned from</th></tr>`,
    [
      row('Sluice', usd, usdPerMillion, 'this report'),
      ...alternatives.map((other) => row(other.name, other.usd, other.usdPerMillion, other.how)),
    ],
  );
}

export function items({ items }: JobCost): Html {
  return table(
    'items',
    'Item by item',
    undefined,
    html`<tr><th scope="col">Stage</th><th scope="col">Resource</th><th scope="col">Waste</th><th scope="col" class="number">Amount</th><th scope="col" class="number">A million</th><th scope="col" class="number">Dollars</th></tr>`,
    items.map(
      (item) => html`
      <tr><th scope="row">${titleOf(item.stage)}</th><td>${item.resource}</td><td>${item.waste}</td><td class="number">${formatQuantity(item.quantity, item.unit)}</td><td class="number">${rate(item.usdPerMillion)}</td><td class="number">${formatUsd(item.usd)}</td></tr>`,
    ),
  );
}

export function assumptions({ assumptions }: JobCost, prices: Prices): Html {
  return table(
    'assumptions',
    'Assumptions',
    `Prices of ${prices.region}, as of ${pricesAsOf(prices)}. Each of these can be set: in a file (sluice cost --assume), the most usual by flags.`,
    html`<tr><th scope="col">Assumption</th><th scope="col" class="number">Value</th></tr>`,
    assumptionLines(assumptions).map(
      ({ name, value }) => html`
      <tr><th scope="row">${name}</th><td class="number">${value}</td></tr>`,
    ),
  );
}

export function notes({ notes }: JobCost): Html {
  return html`
<footer id="notes">
  <h2>Notes</h2>
  ${notes.map((note) => html`<p class="note">${note}</p>`)}
</footer>`;
}

export function table(
  id: string,
  title: string,
  note: string | undefined,
  head: Html,
  rows: readonly Html[],
): Html {
  return html`
<section id="${id}" class="panel" aria-labelledby="${id}-title">
  <h2 id="${id}-title">${title}</h2>
  ${note !== undefined && html`<p class="note">${note}</p>`}
  <div class="scroll" tabindex="0" role="region" aria-labelledby="${id}-title">
  <table>
    <thead>${head}</thead>
    <tbody>${rows}
    </tbody>
  </table>
  </div>
</section>`;
}
