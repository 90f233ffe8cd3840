import { renderChecksTable } from './checks-table.ts';
import { renderDuplicateGroups } from './duplicate-groups.ts';
import { renderFlaggedSections } from './flagged-sections.ts';
import { formatCount } from './format.ts';
import { type Html, html } from './html.ts';
import { renderOverview } from './overview.ts';
import { renderPage } from './page.ts';
import { renderReceipt } from './receipt.ts';
import type { ReportData } from './report-data.ts';
import { renderShadows } from './shadows-table.ts';
import { renderStagesTable } from './stages-table.ts';
import { renderFailedKeys, renderUnreadableGroups } from './unreadable-groups.ts';

/** The audit report as one HTML page. */
export function renderReport(data: ReportData): string {
  return renderPage({
    title: `Sluice audit of ${data.job.source}`,
    skip: 'Skip to the results',
    navigation: renderNavigation(data),
    main: html`${renderOverview(data)}${renderStagesTable(data)}${renderShadows(data)}
${renderChecksTable(data)}
${renderCalm(data)}
${renderFlaggedSections(data)}
${renderDuplicateGroups(data)}
${renderUnreadableGroups(data)}
${renderFailedKeys(data)}`,
    footer: renderReceipt(data),
  });
}

function renderNavigation(data: ReportData): Html {
  const { totals, duplicates } = data;
  const flagged = totals.verdicts.review + totals.verdicts.reject;
  const groups = duplicates.groups.length + duplicates.moreGroups;
  const links: readonly (readonly [string, string, boolean, number?])[] = [
    ['overview', 'Overview', true],
    ['stages', 'Stages', (data.stages ?? []).length > 0],
    ['shadows', 'Shadows', (data.shadows ?? []).length > 0],
    ['checks', 'Checks', data.checks.length > 0],
    ['flagged', 'Flagged', data.flagged.length > 0, flagged],
    ['duplicates', 'Duplicates', duplicates.groups.length > 0, groups],
    ['unreadable', 'Unreadable', data.unreadable.length > 0, totals.unreadable],
    ['failed', 'Failed', totals.failed > 0, totals.failed],
    ['receipt', 'Receipt', true],
  ];
  return html`<nav aria-label="Sections"><ul>${links
    .filter(([, , present]) => present)
    .map(
      ([id, label, , count]) =>
        html`<li><a href="#${id}">${label}${count !== undefined && html` <span>${formatCount(count)}</span>`}</a></li>`,
    )}</ul></nav>`;
}

function renderCalm(data: ReportData): Html | undefined {
  const { planned, audited, verdicts } = data.totals;
  if (planned === 0 || verdicts.pass !== audited || audited === 0 || data.flagged.length > 0)
    return undefined;
  return html`<p class="calm">Nothing was flagged. Every image that could be read passed all checks.</p>`;
}
