import { formatCount, formatShare } from './format.ts';
import { type Html, html } from './html.ts';
import type { ReportData } from './report-data.ts';

/** The section "Shadows": where a model on trial would have decided otherwise. */
export function renderShadows({ shadows = [] }: ReportData): Html | undefined {
  if (shadows.length === 0) return undefined;
  const rows = shadows.map(
    ({ stage, model, compared, agreed, flips }) => html`
      <tr>
        <th scope="row"><bdi>${stage}</bdi></th>
        <td><bdi>${model}</bdi></td>
        <td class="number">${formatCount(compared)}</td>
        <td class="number">${formatShare(agreed, compared)}</td>
        <td>${Object.entries(flips)
          .map(([flip, count]) => `${flip} ${formatCount(count)}`)
          .join(', ')}</td>
      </tr>`,
  );
  const flipped = shadows.flatMap(({ stage, flipped, flips }) => {
    const more = Object.values(flips).reduce((sum, count) => sum + count, 0) - flipped.length;
    if (flipped.length === 0) return [];
    return [
      html`
  <h3><bdi>${stage}</bdi>: other verdicts</h3>
  <ul>${flipped.map(
    ({ row, verdict, shadow }) => html`
    <li><bdi class="mono">${row}</bdi> ${verdict} → ${shadow}</li>`,
  )}
  </ul>${more > 0 && html`<p class="note">and ${formatCount(more)} more: column shadow_verdict of the audit table</p>`}`,
    ];
  });
  const failed = shadows.flatMap(({ stage, model, failed, failure }) =>
    failed === 0
      ? []
      : [
          html`
  <p class="note"><bdi>${model}</bdi> at stage <bdi>${stage}</bdi> failed on ${formatCount(failed)}: <bdi>${failure ?? ''}</bdi></p>`,
        ],
  );
  return html`
<section id="shadows" class="panel" aria-labelledby="shadows-title">
  <h2 id="shadows-title">Shadows</h2>
  <p class="note">A shadow sees the same pictures as its stage and decides nothing: this is what it would have decided.</p>
  <div class="scroll" tabindex="0" role="region" aria-labelledby="shadows-title">
  <table>
    <thead><tr><th scope="col">Stage</th><th scope="col">Shadow</th><th scope="col" class="number">Compared</th><th scope="col" class="number">Agree</th><th scope="col">Other verdicts</th></tr></thead>
    <tbody>${rows}
    </tbody>
  </table>
  </div>${failed}${flipped}
</section>`;
}
