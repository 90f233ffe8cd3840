import type { JobCost } from '#core/cost/job-cost.ts';
import type { Prices } from '#core/cost/prices.ts';
import type { HeldJob } from '#core/quote/held-job.ts';
import { besides, estimated, requests, unitPrices } from './cost-details.ts';
import {
  alternatives,
  assumptions,
  breakdown,
  items,
  masthead,
  navigation,
  notes,
  type Section,
  tile,
  waste,
} from './cost-sections.ts';
import { formatCount, formatCountOf, formatShare } from './format.ts';
import { heldSection } from './held-figures.ts';
import { type Html, html } from './html.ts';
import { formatUsd } from './money.ts';
import { renderPage } from './page.ts';

export interface CostPage {
  readonly title: string;
  readonly prices: Prices;
  /** The job's quote, held against it. */
  readonly held?: HeldJob;
}

const SECTIONS: readonly Section[] = [
  ['overview', 'Overview'],
  ['stages', 'Stages'],
  ['resources', 'Resources'],
  ['waste', 'Waste'],
  ['requests', 'Requests'],
  ['estimated', 'Estimated'],
  ['besides', 'Beside it'],
  ['quote', 'Quote'],
  ['elsewhere', 'Elsewhere'],
  ['items', 'Items'],
  ['assumptions', 'Assumptions'],
  ['prices', 'Prices'],
  ['notes', 'Notes'],
];

/** What a job has cost, as one HTML page. */
export function renderCostReport(cost: JobCost, { title, prices, held }: CostPage): string {
  return renderPage({
    title,
    skip: 'Skip to the figures',
    navigation: navigation(SECTIONS.filter(([id]) => id !== 'quote' || held !== undefined)),
    main: html`${overview(cost, title)}
${breakdown(cost)}
${waste(cost)}
${requests(cost)}
${estimated(cost)}
${besides(cost)}
${held && heldSection(held)}
${alternatives(cost)}
${items(cost)}
${assumptions(cost, prices)}
${unitPrices(cost)}`,
    footer: notes(cost),
  });
}

function overview({ images, usd, usdPerMillion, usdWasted, isComplete }: JobCost, title: string): Html {
  const lead = `${formatUsd(usd)} for ${formatCountOf(images, 'image')}${isComplete ? '' : ' so far'}.`;
  return masthead(title, lead, [
    tile('Cost', formatUsd(usd), 'as metered, at list prices'),
    tile('A million images', usdPerMillion === undefined ? '–' : formatUsd(usdPerMillion), 'at this rate'),
    tile('For nothing', formatUsd(usdWasted), `${formatShare(usdWasted, usd)} of it`),
    tile('Images', formatCount(images), isComplete ? 'audited, unreadable or failed' : 'with their row'),
  ]);
}
