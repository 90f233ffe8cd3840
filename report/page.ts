import { createHash } from 'node:crypto';
import { type Html, html, trusted } from './html.ts';
import { PAGE_CSS } from './page-css.ts';

/** Where a page that was written names the page that lies beside it. */
const BESIDE = '<!-- beside -->';

export interface Page {
  readonly title: string;
  /** Of the link that leads past the navigation: "Skip to the results". */
  readonly skip: string;
  readonly navigation: Html;
  readonly main: Html;
  readonly footer: Html;
}

/**
 * A page that needs no script, no network and no other file, and whose Content-Security-Policy would refuse all three.
 * Pure: equal data give an equal page.
 */
export function renderPage({ title, skip, navigation, main, footer }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${CONTENT_SECURITY_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${trusted(PAGE_CSS)}</style>
</head>
<body>
<a class="skip" href="#main">${skip}</a>
${navigation}
<main id="main">
${trusted(BESIDE)}
${main}
</main>
${footer}
</body>
</html>
`.markup;
}

/** A page with a link to another one, ahead of what it says. A page of an earlier version has no place for it, and stays as it is. */
export function besidePage(page: string, { href, text }: { href: string; text: string }): string {
  return page.replace(BESIDE, () => html`<p class="note"><a href="${href}">${text}</a></p>`.markup);
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
