import { formatTime } from './format.ts';
import { type Html, html } from './html.ts';
import { fileLink } from './parts.ts';
import type { ReportData } from './report-data.ts';

/** The foot of the page: all that is needed to reproduce the result, and the files behind the page. */
export function renderReceipt(data: ReportData): Html {
  const { job, outputs } = data;
  const facts: readonly (readonly [string, string])[] = [
    ['Job', job.id],
    ['Model', job.model],
    ['Model SHA-256', job.modelSha256],
    ['Preprocess', job.preprocessHash],
    ['Decode', job.decodeHash],
    ['Policy', job.policyHash],
    ['Software', job.softwareVersion],
    ['Decoder', job.decoderVersion],
    ['Provider', job.provider],
    ['Started', formatTime(job.startedAt)],
    ['Finished', formatTime(job.finishedAt)],
  ];
  return html`
<footer id="receipt">
  <h2>Receipt</h2>
  <dl class="receipt">${facts.map(
    ([name, value]) => html`
    <div><dt>${name}</dt><dd class="mono"><bdi>${value}</bdi></dd></div>`,
  )}
  </dl>
  <p class="note">Every image has a row in ${fileLink(outputs.audit)}; the totals are in ${fileLink(outputs.summary)}.</p>
</footer>`;
}
