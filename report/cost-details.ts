import type { JobCost } from '#core/cost/job-cost.ts';
import { table } from './cost-sections.ts';
import { formatCount, formatSeconds, titleOf } from './format.ts';
import { type Html, html } from './html.ts';
import { formatQuantity, formatUsd } from './money.ts';

// What stands behind the figures of a cost page: requests, what is beside the job or estimated, and prices.

/** Each try for itself, what of it were retries, and what AWS bills. */
export function requests({ requests }: JobCost): Html {
  return table(
    'requests',
    'Requests',
    'Each try for itself. S3 bills nothing that it answers with a 5xx; SQS bills each begun 64 KiB.',
    html`<tr><th scope="col">Request</th><th scope="col" class="number">Sent</th><th scope="col" class="number">Retried</th><th scope="col" class="number">Billed</th></tr>`,
    Object.entries(requests)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(
        ([kind, { count, retries, units }]) => html`
      <tr><th scope="row">${kind}</th><td class="number">${formatCount(count)}</td><td class="number">${formatCount(retries)}</td><td class="number">${formatCount(units)}</td></tr>`,
      ),
  );
}

export function estimated({ estimated, estimatedUsd }: JobCost): Html {
  return table(
    'estimated',
    'Estimated',
    `${formatUsd(estimatedUsd)} that no meter tells, in none of the figures above. What each is reckoned from is among the assumptions.`,
    html`<tr><th scope="col">Resource</th><th scope="col" class="number">Amount</th><th scope="col" class="number">A million</th><th scope="col" class="number">Dollars</th><th scope="col">Reckoned from</th></tr>`,
    estimated.map(
      (item) => html`
      <tr><th scope="row">${item.resource}</th><td class="number">${formatQuantity(item.quantity, item.unit)}</td><td class="number">${item.usdPerMillion === undefined ? '–' : formatUsd(item.usdPerMillion)}</td><td class="number">${formatUsd(item.usd)}</td><td class="rule">${item.how}</td></tr>`,
    ),
  );
}

export function besides({ besides }: JobCost): Html {
  return table(
    'besides',
    'Beside the job',
    'Metered, and in none of the figures above: the pipeline without work, what processes told late of other jobs, and what workers that run have not told yet.',
    html`<tr><th scope="col">What</th><th scope="col" class="number">Workers</th><th scope="col" class="number">Requests</th><th scope="col" class="number">Dollars</th></tr>`,
    besides.map(
      (row) => html`
      <tr><th scope="row">${titleOf(row.name)}</th><td class="number">${formatSeconds(row.seconds)}</td><td class="number">${formatCount(Object.values(row.requests).reduce((sum, { count }) => sum + count, 0))}</td><td class="number">${formatUsd(row.usd)}</td></tr>`,
    ),
  );
}

/** Each price with its date and source. */
export function unitPrices({ unitPrices }: JobCost): Html {
  return table(
    'prices',
    'Prices',
    'List prices without free tiers and discounts; infra/prices has them.',
    html`<tr><th scope="col">Price</th><th scope="col" class="number">Dollars</th><th scope="col">For a</th><th scope="col">As of</th><th scope="col">Source</th></tr>`,
    unitPrices.map(
      ({ name, usd, per, asOf, source }) => html`
      <tr><th scope="row">${name}</th><td class="number">${String(usd)}</td><td>${per}</td><td>${asOf ?? 'as given'}</td><td class="rule">${source}</td></tr>`,
    ),
  );
}
