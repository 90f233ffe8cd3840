import { type CompletedCost, type CostHistory, usefulUsd } from '#core/cost/cost-history.ts';
import type { JobCost } from '#core/cost/job-cost.ts';
import type { Prices } from '#core/cost/prices.ts';
import {
  alternatives,
  assumptions,
  breakdown,
  masthead,
  navigation,
  notes,
  type Section,
  table,
  tile,
  waste,
} from './cost-sections.ts';
import { formatCount, formatCountOf, formatDay, formatShare, formatTime, titleOf } from './format.ts';
import { type Html, html } from './html.ts';
import { formatUsd } from './money.ts';
import { renderPage } from './page.ts';
import { type Column, stackedColumns } from './stacked-columns.ts';

const SECTIONS: readonly Section[] = [
  ['overview', 'Overview'],
  ['chart', 'Chart'],
  ['months', 'Months'],
  ['jobs', 'Jobs'],
  ['stages', 'Stages'],
  ['resources', 'Resources'],
  ['waste', 'Waste'],
  ['elsewhere', 'Elsewhere'],
  ['assumptions', 'Assumptions'],
  ['notes', 'Notes'],
];

/** More than these would be thinner than a pixel or two. */
const MAX_COLUMNS = 400;

/** What the jobs of some time have cost, night by night and month by month, as one HTML page. */
export function renderCostHistory(
  { months, all }: CostHistory,
  { title, prices }: { title: string; prices: Prices },
): string {
  const jobs = months.flatMap((month) => month.jobs);
  return renderPage({
    title,
    skip: 'Skip to the figures',
    navigation: navigation(SECTIONS),
    main: html`${overview(all, title)}
${charts(jobs)}
${table(
  'months',
  'Month by month',
  undefined,
  html`<tr><th scope="col">Month</th><th scope="col" class="number">Jobs</th>${AMOUNTS}</tr>`,
  months.map(
    ({ month, total, jobs }) =>
      html`<tr><th scope="row">${month}</th><td class="number">${formatCount(jobs.length)}</td>${amounts(total)}</tr>`,
  ),
)}
${table(
  'jobs',
  'Job by job',
  undefined,
  html`<tr><th scope="col">Job</th><th scope="col">Completed</th>${AMOUNTS}</tr>`,
  jobs.map(
    (job) =>
      html`<tr><th scope="row"><bdi>${job.jobs[0]}</bdi></th><td>${formatTime(job.completedAt)}</td>${amounts(job)}</tr>`,
  ),
)}
${breakdown(all)}
${waste(all)}
${alternatives(all)}
${assumptions(all, prices)}`,
    footer: notes(all),
  });
}

function overview({ jobs, images, usd, usdPerMillion, usdWasted }: JobCost, title: string): Html {
  const lead = `${formatUsd(usd)} for ${formatCountOf(images, 'image')} in ${formatCountOf(jobs.length, 'job')}.`;
  return masthead(title, lead, [
    tile('Cost', formatUsd(usd), 'as metered, at list prices'),
    tile('A million images', perMillion(usdPerMillion), 'over all jobs'),
    tile('For nothing', formatUsd(usdWasted), `${formatShare(usdWasted, usd)} of it`),
    tile('Jobs', formatCount(jobs.length), 'completed in this time'),
  ]);
}

const AMOUNTS = html`<th scope="col" class="number">Images</th><th scope="col" class="number">Dollars</th><th scope="col" class="number">For nothing</th><th scope="col" class="number">A million</th>`;

function amounts({ images, usd, usdWasted, usdPerMillion }: JobCost): Html {
  return html`<td class="number">${formatCount(images)}</td><td class="number">${formatUsd(usd)}</td><td class="number">${formatUsd(usdWasted)}</td><td class="number">${perMillion(usdPerMillion)}</td>`;
}

function perMillion(usd: number | undefined): string {
  return usd === undefined ? '–' : formatUsd(usd);
}

function charts(jobs: readonly CompletedCost[]): Html {
  const shown = jobs.slice(-MAX_COLUMNS);
  const left = jobs.length - shown.length;
  return html`
<section id="chart" class="panel" aria-labelledby="chart-title">
  <h2 id="chart-title">Night by night</h2>
  ${
    shown.length === 0
      ? html`<p class="note">No job was completed in this time.</p>`
      : html`
  <p class="note">One column a completed job, in the order of their completion${left > 0 && `: the latest ${formatCount(MAX_COLUMNS)} of ${formatCount(jobs.length)}`}. What was for nothing lies on top of what the stages were worth.</p>
  <div class="legend">${LEGEND.map(([kind, name]) => html`<div><span class="dot ${kind}"></span>${name}</div>`)}</div>
  ${chart('dollars', 'Dollars a job', shown, { amount: ({ usd }) => usd, parts: parts(1), format: formatUsd })}
  ${chart('rate', 'Dollars a million images', shown, {
    amount: ({ usdPerMillion = 0 }) => usdPerMillion,
    parts: (job) => (job.images > 0 ? parts(1e6 / job.images)(job) : []),
    format: formatUsd,
  })}
  ${chart('images', 'Images a job', shown, {
    amount: ({ images }) => images,
    parts: ({ images }) => [{ kind: 'images', value: images }],
    format: formatCount,
  })}`
  }
</section>`;
}

const WASTED = 'wasted';
const LEGEND: readonly (readonly [kind: string, name: string])[] = [
  ...(['plan', 'ingest', 'preprocess', 'worker', 'finalize'] as const).map(
    (stage) => [stage, titleOf(stage)] as const,
  ),
  [WASTED, 'For nothing'],
];

/** What each stage was worth, and on top what was for nothing; all times a factor. */
function parts(factor: number): (job: CompletedCost) => Column['parts'] {
  return (job) => [
    ...usefulUsd(job).map(({ stage, usd }) => ({ kind: stage, value: usd * factor })),
    { kind: WASTED, value: job.usdWasted * factor },
  ];
}

function chart(
  id: string,
  name: string,
  jobs: readonly CompletedCost[],
  {
    amount,
    parts,
    format,
  }: {
    amount: (job: CompletedCost) => number;
    parts: (job: CompletedCost) => Column['parts'];
    format: (value: number) => string;
  },
): Html {
  const values = jobs.map(amount);
  const [first, last] = [jobs[0], jobs.at(-1)].map((job) => formatDay(job?.completedAt ?? ''));
  const description =
    `${name}: ${formatCountOf(jobs.length, 'job')}, ${first === last ? `of ${first}` : `from ${first} to ${last}`}; ` +
    `the least ${format(Math.min(...values))}, the most ${format(Math.max(...values))}. The table "Job by job" has all of them.`;
  const columns = jobs.map((job) => ({
    label: formatDay(job.completedAt),
    title:
      `${job.jobs[0]}, ${formatTime(job.completedAt)}: ${formatCountOf(job.images, 'image')}, ${formatUsd(job.usd)}, ` +
      `of it for nothing ${formatUsd(job.usdWasted)}`,
    parts: parts(job),
  }));
  return html`
  <figure>
    <figcaption id="${id}-title">${name}</figcaption>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="${id}-title">${stackedColumns({ description, columns, format })}</div>
  </figure>`;
}
