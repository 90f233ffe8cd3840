import { formatCount } from './format.ts';
import { type Html, html } from './html.ts';
import type { ReportData } from './report-data.ts';

/** The table "Stages": what each stage of a cascade saw, and how it ended. */
export function renderStagesTable({ stages = [] }: ReportData): Html | undefined {
  if (stages.length === 0) return undefined;
  const rows = stages.map(
    ({ stage, model, planned, audited, unreadable, failed }) => html`
      <tr>
        <th scope="row"><bdi>${stage}</bdi></th>
        <td><bdi>${model}</bdi></td>
        ${[planned, audited, unreadable, failed].map((n) => html`<td class="number">${formatCount(n)}</td>`)}
      </tr>`,
  );
  return html`
<section id="stages" class="panel" aria-labelledby="stages-title">
  <h2 id="stages-title">Stages</h2>
  <p class="note">The first stage sees every image, the others what it hands on; the verdict of an image comes of all of them.</p>
  <div class="scroll" tabindex="0" role="region" aria-labelledby="stages-title">
  <table>
    <thead><tr><th scope="col">Stage</th><th scope="col">Model</th><th scope="col" class="number">Planned</th><th scope="col" class="number">Audited</th><th scope="col" class="number">Unreadable</th><th scope="col" class="number">Failed</th></tr></thead>
    <tbody>${rows}
    </tbody>
  </table>
  </div>
</section>`;
}
