import { crossed, gauge } from './bars.ts';
import { YES_NO_MEASURES } from './describe-rule.ts';
import { formatBytes, formatCount, formatCountOf, formatMeasure, titleOf, words } from './format.ts';
import { type Html, html } from './html.ts';
import { fileLink, keyLine, moreLine, thumbnailFrame, verdictChip } from './parts.ts';
import type { FlaggedImage, FlaggedSection, ReportBound, ReportCheck, ReportData } from './report-data.ts';

/** One section per check that flagged something, each image with the measure that crossed the threshold. */
export function renderFlaggedSections(data: ReportData): Html | undefined {
  if (data.flagged.length === 0) return undefined;
  const checks = new Map(data.checks.map((check) => [check.check, check]));
  const sections = data.flagged.map((section, index) =>
    renderSection(section, index, checks.get(section.check), data.outputs.audit),
  );
  return html`
<section id="flagged" aria-labelledby="flagged-title">
  <h2 id="flagged-title">Flagged images</h2>
  ${sections}
</section>`;
}

function renderSection(
  section: FlaggedSection,
  index: number,
  check: ReportCheck | undefined,
  auditFile: string,
): Html {
  const count = check?.count ?? section.items.length + section.moreItems;
  const cards = section.items.map((item) => renderCard(item, section.check, check?.bounds ?? []));
  return html`
  <details class="group" id="flagged-${index}" open>
    <summary><h3>${titleOf(section.check)}</h3> <span class="count">${formatCountOf(count, 'image')}</span>${check && html` <span class="rule">${check.rule}</span>`}</summary>
    <ul class="grid">${cards}
    </ul>
    ${moreLine(section.moreItems, 'image', fileLink(auditFile))}
  </details>`;
}

function renderCard(item: FlaggedImage, check: string, bounds: readonly ReportBound[]): Html {
  const others = item.checks.filter((name) => name !== check);
  return html`
      <li class="card">
        ${thumbnailFrame(item.key, item.thumbnail)}
        <div class="body">
          <p class="name">${keyLine(item.key)}</p>
          <p class="meta">${verdictChip(item.verdict)} ${formatCount(item.widthPx)} × ${formatCount(item.heightPx)} · ${item.format} · ${formatBytes(item.bytes)}</p>
          ${bounds.map((bound) => renderMeasure(item, bound))}
          ${item.duplicateOf !== undefined && html`<p class="also">Same picture as ${keyLine(item.duplicateOf)}</p>`}
          ${others.length > 0 && html`<p class="also">Also ${others.map(words).join(', ')}</p>`}
          ${renderDetails(item)}
        </div>
      </li>`;
}

function renderMeasure(item: FlaggedImage, bound: ReportBound): Html | undefined {
  const value = measureOf(item, bound.measure);
  if (value === undefined || YES_NO_MEASURES.has(bound.measure)) return undefined;
  // A rule can have several parts of which one flagged: the others are among all measures, but are not the reason.
  const threshold = crossed(value, bound);
  if (threshold === '') return undefined;
  return html`<div class="measure"><span>${words(bound.measure)}</span> <span><b>${formatMeasure(value)}</b> ${threshold}</span>${gauge(item.verdict, value, bound)}</div>`;
}

function measureOf(item: FlaggedImage, measure: string): number | undefined {
  return Object.hasOwn(item.measures, measure) ? item.measures[measure] : undefined;
}

function renderDetails(item: FlaggedImage): Html {
  const measures = Object.entries(item.measures).map(
    ([name, value]) => html`<div><dt>${words(name)}</dt><dd>${formatMeasure(value)}</dd></div>`,
  );
  return html`<details class="all"><summary>All measures</summary><p class="mono full"><bdi>${item.key}</bdi></p><dl>${measures}</dl></details>`;
}
