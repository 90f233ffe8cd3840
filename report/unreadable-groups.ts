import { formatCount, formatCountOf } from './format.ts';
import { type Html, html } from './html.ts';
import { fileLink, keyLine, moreLine } from './parts.ts';
import { REFUSAL_MEANINGS } from './refusal-meanings.ts';
import type { ReportData, UnreadableGroup } from './report-data.ts';

/** The refused images by code, each code with its meaning. */
export function renderUnreadableGroups(data: ReportData): Html | undefined {
  if (data.unreadable.length === 0) return undefined;
  const groups = [...data.unreadable].sort((a, b) => b.count - a.count);
  return html`
<section id="unreadable" aria-labelledby="unreadable-title">
  <h2 id="unreadable-title">Unreadable <span class="count">${formatCountOf(data.totals.unreadable, 'image')}</span></h2>
  <div class="panel list">${groups.map((group) => renderGroup(group, data.outputs.audit))}
  </div>
</section>`;
}

/** The images that ended in a dead-letter queue, by key. */
export function renderFailedKeys(data: ReportData): Html | undefined {
  const { keys, moreKeys } = data.failed;
  if (data.totals.failed === 0 && keys.length === 0) return undefined;
  return html`
<section id="failed" aria-labelledby="failed-title">
  <h2 id="failed-title">Failed <span class="count">${formatCountOf(data.totals.failed, 'image')}</span></h2>
  <div class="panel">
    <p class="note">The system gave up on these after several attempts. That says nothing about the images: run the job again to audit them.</p>
    <ul class="keys">${keys.map((key) => html`<li>${keyLine(key)}</li>`)}</ul>
    ${moreLine(moreKeys, 'image', fileLink(data.outputs.summary))}
  </div>
</section>`;
}

function renderGroup(group: UnreadableGroup, auditFile: string): Html {
  const rows = group.examples.map(
    (example) => html`<li>${keyLine(example.key)}<span class="detail">${example.detail}</span></li>`,
  );
  return html`
    <details class="code" open>
      <summary><h3 class="mono">${group.code}</h3> <span class="count">${formatCount(group.count)}</span><span class="rule">${REFUSAL_MEANINGS[group.code]}</span></summary>
      <ul class="keys">${rows}</ul>
      ${moreLine(group.moreExamples, 'image', fileLink(auditFile))}
    </details>`;
}
