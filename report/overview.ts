import { VERDICTS } from '#core/policy.ts';
import { type BarPart, stackedBar } from './bars.ts';
import { formatCount, formatCountOf, formatRate, formatSeconds, formatShare, formatTime } from './format.ts';
import { type Html, html } from './html.ts';
import { VERDICT_LABELS } from './parts.ts';
import type { ReportData, ReportTotals } from './report-data.ts';

/** The head of the page: what was audited, what came of it, and the proof that no image was lost. */
export function renderOverview(data: ReportData): Html {
  const { job, totals } = data;
  return html`
<header class="masthead" id="overview">
  <p class="brand">${LOGO}<span>Sluice</span> audit report</p>
  <h1><bdi>${job.source}</bdi></h1>
  <p class="lead">${summarySentence(totals)}</p>
  <ul class="facts">
    <li><span>Job</span> <bdi class="mono">${job.id}</bdi></li>
    <li><span>Model</span> <bdi>${job.model}</bdi></li>
    <li><span>Finished</span> <time datetime="${job.finishedAt}">${formatTime(job.finishedAt)}</time></li>
    <li><span>Took</span> ${formatSeconds(job.seconds)}</li>
    <li><span>Speed</span> ${formatRate(job.imagesPerSecond)} images/s</li>
  </ul>
</header>
<section class="panel" aria-labelledby="verdicts">
  <h2 id="verdicts" class="sr">Verdicts</h2>
  ${verdictBar(totals)}
  ${accounting(totals)}
</section>`;
}

function summarySentence(totals: ReportTotals): string {
  const { planned, verdicts } = totals;
  if (planned === 0) return 'No images were found, so there is nothing to report.';
  if (verdicts.pass === planned) return `All ${formatCountOf(planned, 'image')} passed.`;
  const rest = [
    verdicts.review > 0 && `${formatCount(verdicts.review)} to review`,
    verdicts.reject > 0 && `${formatCount(verdicts.reject)} rejected`,
    totals.unreadable > 0 && `${formatCount(totals.unreadable)} unreadable`,
    totals.failed > 0 && `${formatCount(totals.failed)} failed`,
  ].filter((part) => part !== false);
  const share = formatShare(verdicts.pass, planned);
  return `${formatCount(verdicts.pass)} of ${formatCountOf(planned, 'image')} passed (${share}); ${rest.join(', ')}.`;
}

function verdictBar(totals: ReportTotals): Html {
  const parts: BarPart[] = VERDICTS.map((verdict) => ({
    kind: verdict,
    label: VERDICT_LABELS[verdict],
    count: totals.verdicts[verdict],
  }));
  if (totals.failed > 0) parts.push({ kind: 'failed', label: 'Failed', count: totals.failed });
  const legend = parts.map(
    (part) => html`
    <li><i class="dot ${part.kind}"></i>${part.label} <b>${formatCount(part.count)}</b> <span>${formatShare(part.count, totals.planned)}</span></li>`,
  );
  return html`${stackedBar(parts)}
  <ul class="legend">${legend}
  </ul>`;
}

function accounting(totals: ReportTotals): Html {
  const holds = totals.planned === totals.audited + totals.unreadable + totals.failed;
  return html`
  <div class="equation" role="group" aria-label="Accounting: planned = audited + unreadable + failed">
    ${tile('Planned', totals.planned, 'images found')}
    <span class="sign" aria-hidden="true">${holds ? '=' : '≠'}</span>
    ${tile('Audited', totals.audited, 'decoded and scored')}
    <span class="sign" aria-hidden="true">+</span>
    ${tile('Unreadable', totals.unreadable, 'refused, with a reason')}
    <span class="sign" aria-hidden="true">+</span>
    ${tile('Failed', totals.failed, 'given up after retries')}
  </div>
  <p class="${holds ? 'proof' : 'proof broken'}">${
    holds
      ? 'Every planned image is accounted for exactly once.'
      : 'The numbers do not add up: this result must not be relied upon. Run the job again and report the defect.'
  }</p>`;
}

function tile(label: string, count: number, hint: string): Html {
  return html`<div class="tile"><span class="label">${label}</span><b>${formatCount(count)}</b><span class="hint">${hint}</span></div>`;
}

const LOGO = html`<svg class="logo" viewBox="0 0 24 24" aria-hidden="true"><path d="M4 4v16M20 4v16M8 4h8v7H8z"/><path class="water" d="M4 16c2-1.6 3.4-1.6 5.3 0s3.400 1.600 5.300 0 3.400-1.600 5.400 0"/></svg>`;
