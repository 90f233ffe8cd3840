import type { Verdict } from '#core/policy.ts';
import { formatCountOf, shorten } from './format.ts';
import { type Html, html, trusted } from './html.ts';

/** What each verdict means for the reader. */
export const VERDICT_LABELS: Readonly<Record<Verdict, string>> = {
  pass: 'Pass',
  review: 'Review',
  reject: 'Reject',
  unreadable: 'Unreadable',
};

/** A verdict as a small label, told by its word and not by colour alone. */
export function verdictChip(verdict: Verdict): Html {
  return html`<span class="chip ${verdict}">${VERDICT_LABELS[verdict]}</span>`;
}

/** A key with its last part first to the eye. `bdi` keeps a right-to-left name from turning its neighbours round. */
export function keyLine(key: string): Html {
  const cut = key.lastIndexOf('/') + 1;
  const folder = cut > 0 && html`<span class="folder">${key.slice(0, cut)}</span>`;
  return html`<bdi class="key">${folder}<b>${key.slice(cut)}</b></bdi>`;
}

/** The thumbnail, or a quiet frame of the same size where there is none. */
export function thumbnailFrame(key: string, jpeg: Uint8Array | undefined): Html {
  if (jpeg === undefined || jpeg.length === 0) {
    return html`<div class="thumb none"><span>No preview</span></div>`;
  }
  const base64 = Buffer.from(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength).toString('base64');
  const source = trusted(`data:image/jpeg;base64,${base64}`);
  return html`<div class="thumb"><img src="${source}" alt="Preview of ${shorten(key, 120)}" loading="lazy" decoding="async"></div>`;
}

/** The line under a capped list that says what was left out and where it is. */
export function moreLine(count: number, noun: string, where: Html | string): Html | undefined {
  if (count <= 0) return undefined;
  return html`<p class="more">and ${formatCountOf(count, `more ${noun}`)} in ${where}</p>`;
}

/** A link to a result file beside the report. Each part is percent-encoded, so the name cannot be read as a scheme or a query. */
export function fileLink(name: string): Html {
  const href = `./${name.split('/').map(encodePart).join('/')}`;
  return html`<a href="${href}">${name}</a>`;
}

function encodePart(part: string): string {
  // encodeURIComponent throws on unpaired surrogates.
  return encodeURIComponent(part.replace(/\p{Cs}/gu, '\ufffd'));
}
