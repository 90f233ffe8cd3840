import { createHash } from 'node:crypto';
import { renderChecksTable } from './checks-table.ts';
import { renderDuplicateGroups } from './duplicate-groups.ts';
import { renderFlaggedSections } from './flagged-sections.ts';
import { formatCount } from './format.ts';
import { type Html, html, trusted } from './html.ts';
import { renderOverview } from './overview.ts';
import { PAGE_CSS } from './page-css.ts';
import { renderReceipt } from './receipt.ts';
import type { ReportData } from './report-data.ts';
import { renderShadows } from './shadows-table.ts';
import { renderStagesTable } from './stages-table.ts';
import { renderFailedKeys, renderUnreadableGroups } from './unreadable-groups.ts';

/**
 * The audit report as one HTML page: it needs no script, no network and no other file, and its
 * Content-Security-Policy would refuse all three. Pure: equal data give an equal page.
 */
export function renderReport(data: ReportData): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${CONTENT_SECURITY_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Sluice audit of ${data.job.source}</title>
<link rel="icon" href="data:,">
<style>${trusted(PAGE_CSS)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
${renderNavigation(data)}
<main id="main">
${renderOverview(data)}${renderStagesTable(data)}${renderShadows(data)}
${renderChecksTable(data)}
${renderCalm(data)}
${renderFlaggedSections(data)}
${renderDuplicateGroups(data)}
${renderUnreadableGroups(data)}
${renderFailedKeys(data)}
</main>
${renderReceipt(data)}
</body>
</html>
`;
  return page.markup;
}

// The style sheet is named by its hash, so that not even an injected style element would apply.
const CONTENT_SECURITY_POLICY = trusted(
  [
    "default-src 'none'",
    'img-src data:',
    `style-src 'sha256-${createHash('sha256').update(PAGE_CSS).digest('base64')}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; '),
);

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
