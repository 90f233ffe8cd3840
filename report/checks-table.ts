import { shareBar } from './bars.ts';
import { formatCount, formatShare, titleOf } from './format.ts';
import { type Html, html } from './html.ts';
import { verdictChip } from './parts.ts';
import type { ReportData } from './report-data.ts';

/** The table "verdicts by check": how many images each check flagged, most first. */
export function renderChecksTable(data: ReportData): Html | undefined {
  if (data.checks.length === 0) return undefined;
  const sections = new Map(data.flagged.map((section, index) => [section.check, index]));
  const rows = [...data.checks]
    .sort((a, b) => b.count - a.count)
    .map((check) => {
      const section = sections.get(check.check);
      const name = titleOf(check.check);
      return html`
      <tr class="${check.count > 0 ? 'some' : 'zero'}">
        <th scope="row">${section === undefined ? name : html`<a href="#flagged-${section}">${name}</a>`}</th>
        <td class="rule">${check.rule}</td>
        <td>${verdictChip(check.verdict)}</td>
        <td class="number">${formatCount(check.count)}</td>
        <td class="number share-of">${formatShare(check.count, data.totals.audited)}</td>
        <td class="bar">${shareBar(check.verdict, check.count, data.totals.audited)}</td>
      </tr>`;
    });
  return html`
<section id="checks" class="panel" aria-labelledby="checks-title">
  <h2 id="checks-title">Verdicts by check</h2>
  <p class="note">One image can be flagged by several checks; the gravest verdict counts.</p>
  <div class="scroll" tabindex="0" role="region" aria-labelledby="checks-title">
  <table>
    <thead><tr><th scope="col">Check</th><th scope="col">Flags when</th><th scope="col">Verdict</th><th scope="col" class="number">Images</th><th scope="col" class="number">Of audited</th><th scope="col"><span class="sr">Share</span></th></tr></thead>
    <tbody>${rows}
    </tbody>
  </table>
  </div>
</section>`;
}
