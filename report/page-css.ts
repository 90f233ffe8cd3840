/** The style sheet of the report. Its bytes are hashed into the page's Content-Security-Policy. */
export const PAGE_CSS = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --surface: #fff; --sunken: #eef1f4; --line: #dfe4ea;
  --text: #1a2330; --muted: #5a6675; --accent: #0b6b8a;
  --pass: #3a9d74; --review: #dd9b22; --reject: #cf4a56; --unreadable: #8593a3; --failed: #6d4bb0;
  --pass-text: #1d6547; --review-text: #7d5203; --reject-text: #a12733; --unreadable-text: #4b5867; --failed-text: #553694;
  --shadow: 0 1px 2px rgb(20 30 45 / 6%), 0 4px 16px rgb(20 30 45 / 5%);
  --check-a: #f3f5f7; --check-b: #e9ecf0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11161d; --surface: #19202a; --sunken: #222b37; --line: #2d3846;
    --text: #e5eaf0; --muted: #9aa7b6; --accent: #6cc3e0;
    --pass: #46b287; --review: #e0a638; --reject: #e0626d; --unreadable: #7c8b9c; --failed: #9b7fd6;
    --pass-text: #83d9b5; --review-text: #f1c877; --reject-text: #f59aa2; --unreadable-text: #b9c5d2; --failed-text: #c6b2f0;
    --shadow: none; --check-a: #1f2732; --check-b: #252e3a;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 4rem; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main, footer, nav ul { max-width: 76rem; margin: 0 auto; padding-inline: clamp(1rem, 4vw, 2.5rem); }
main { display: flow-root; }
h1, h2, h3, p, ul, dl { margin: 0; }
ul { padding: 0; list-style: none; }
a { color: var(--accent); text-underline-offset: .2em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 4px; }
.mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .86em; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: 1rem; top: -4rem; z-index: 2; padding: .5rem 1rem; background: var(--surface); border-radius: 0 0 8px 8px; }
.skip:focus { top: 0; }
.note, .more, .also, .hint, .rule { color: var(--muted); }
.note { max-width: 46rem; font-size: .92rem; overflow-wrap: anywhere; }
.more { margin-top: 1rem; font-size: .92rem; }

nav { position: sticky; top: 0; z-index: 1; background: color-mix(in srgb, var(--page) 88%, transparent); backdrop-filter: blur(8px); border-bottom: 1px solid var(--line); }
nav ul { display: flex; gap: .25rem 1.5rem; overflow-x: auto; }
nav a { display: block; padding: .7rem 0; color: var(--muted); text-decoration: none; font-size: .9rem; white-space: nowrap; }
nav a:hover { color: var(--text); }
nav span { color: var(--text); font-weight: 600; }

.masthead { padding: clamp(1.75rem, 5vw, 3.25rem) 0 1.75rem; }
.brand { display: flex; align-items: center; gap: .45rem; color: var(--muted); font-size: .9rem; }
.brand span { color: var(--text); font-weight: 650; }
.logo { width: 1.35rem; height: 1.35rem; fill: none; stroke: var(--text); stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.logo .water { stroke: var(--accent); }
h1 { margin-top: .9rem; font-size: clamp(1.7rem, 4.5vw, 2.6rem); line-height: 1.15; letter-spacing: -.02em; font-weight: 680; overflow-wrap: anywhere; }
.lead { margin-top: .6rem; font-size: clamp(1.02rem, 2vw, 1.2rem); max-width: 52rem; text-wrap: pretty; }
.facts { display: flex; flex-wrap: wrap; gap: .35rem 1.75rem; margin-top: 1.15rem; font-size: .92rem; overflow-wrap: anywhere; }
.facts span { color: var(--muted); }

section { margin-bottom: clamp(2.25rem, 5vw, 3.5rem); }
.panel { padding: clamp(1.1rem, 3vw, 1.75rem); background: var(--surface); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shadow); }
h2 { margin-bottom: .35rem; font-size: 1.35rem; line-height: 1.3; letter-spacing: -.01em; font-weight: 650; }
h3 { display: inline; font-size: 1.05rem; font-weight: 650; }
.count { margin-left: .4rem; color: var(--muted); font-size: .95rem; font-weight: 400; letter-spacing: 0; }

.stacked { display: block; width: 100%; height: 1.75rem; border-radius: 8px; background: var(--sunken); overflow: hidden; }
.fill.pass, .dot.pass { fill: var(--pass); background: var(--pass); }
.fill.review, .dot.review { fill: var(--review); background: var(--review); }
.fill.reject, .dot.reject { fill: var(--reject); background: var(--reject); }
.fill.unreadable, .dot.unreadable { fill: var(--unreadable); background: var(--unreadable); }
.fill.failed, .dot.failed { fill: var(--failed); background: var(--failed); }
.fill.plan, .dot.plan { fill: var(--unreadable); background: var(--unreadable); }
.fill.ingest, .dot.ingest { fill: var(--failed); background: var(--failed); }
.fill.preprocess, .dot.preprocess { fill: var(--accent); background: var(--accent); }
.fill.worker, .dot.worker { fill: var(--pass); background: var(--pass); }
.fill.finalize, .dot.finalize { fill: var(--review); background: var(--review); }
.fill.wasted, .dot.wasted { fill: var(--reject); background: var(--reject); }
.fill.images { fill: var(--unreadable); }
.fill.soft { opacity: .38; }
.seam { fill: var(--surface); }
.track { fill: var(--sunken); }
.tick { fill: var(--text); }
figure { margin: 1.6rem 0 0; }
figcaption { font-weight: 650; }
.columns { display: block; width: 100%; min-width: 38rem; max-width: 54rem; font-size: 12px; }
.columns text { fill: var(--muted); }
.columns line { stroke: var(--line); }
.columns:not(.thin) .fill { stroke: var(--surface); stroke-width: .5; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; margin-top: .9rem; font-size: .92rem; }
.legend span { color: var(--muted); }
.legend .dot { display: inline-block; width: .68rem; height: .68rem; margin-right: .5rem; border-radius: 3px; }

.equation { display: flex; flex-wrap: wrap; align-items: stretch; gap: .6rem .9rem; margin-top: 1.6rem; padding-top: 1.6rem; border-top: 1px solid var(--line); }
.sr + .equation { margin-top: 0; padding-top: 0; border-top: 0; }
.tile { flex: 1 1 8rem; display: grid; align-content: start; gap: .1rem; }
.tile .label { font-size: .85rem; color: var(--muted); }
.tile b { font-size: clamp(1.5rem, 3.4vw, 2.1rem); line-height: 1.2; letter-spacing: -.02em; font-weight: 640; overflow-wrap: anywhere; }
.tile .hint { font-size: .82rem; }
.sign { align-self: center; color: var(--muted); font-size: 1.5rem; }
.proof { margin-top: 1rem; font-size: .9rem; color: var(--pass-text); }
.proof.broken { padding: .7rem 1rem; border-radius: 8px; background: color-mix(in srgb, var(--reject) 14%, transparent); color: var(--reject-text); font-weight: 600; }

.scroll { position: relative; margin-top: 1rem; overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .95rem; }
th, td { padding: .6rem 1rem .6rem 0; border-top: 1px solid var(--line); text-align: left; font-weight: 400; }
thead th { border-top: 0; color: var(--muted); font-size: .82rem; white-space: nowrap; }
tbody th { font-weight: 600; white-space: nowrap; }
tr.zero > * { color: var(--muted); }
tr.zero .chip { opacity: .55; }
td.rule { min-width: 11rem; font-size: .9rem; }
th.number, td.number { text-align: right; white-space: nowrap; }
td.share-of { color: var(--muted); font-size: .88rem; }
td.bar { width: 24%; min-width: 7rem; padding-right: 0; }
.share { display: block; width: 100%; height: 8px; }

.chip { display: inline-block; padding: .02rem .5rem; border-radius: 99px; font-size: .78rem; font-weight: 600; line-height: 1.5; white-space: nowrap; background: var(--sunken); color: var(--muted); }
.chip.pass { background: color-mix(in srgb, var(--pass) 16%, transparent); color: var(--pass-text); }
.chip.review { background: color-mix(in srgb, var(--review) 18%, transparent); color: var(--review-text); }
.chip.reject { background: color-mix(in srgb, var(--reject) 15%, transparent); color: var(--reject-text); }
.chip.unreadable { background: color-mix(in srgb, var(--unreadable) 20%, transparent); color: var(--unreadable-text); }
.chip.kept { background: color-mix(in srgb, var(--accent) 14%, transparent); color: var(--accent); }
.calm { margin-bottom: 3rem; padding: 2rem; border: 1px dashed var(--line); border-radius: 14px; color: var(--muted); text-align: center; }

summary { cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary::before { content: "▸"; display: inline-block; width: 1.1rem; color: var(--muted); transition: transform .12s; transform-origin: .32rem 55%; }
details[open] > summary::before { transform: rotate(90deg); }
.group { margin-top: 1.25rem; padding-top: 1.1rem; border-top: 1px solid var(--line); }
summary .rule { display: block; margin-left: 1.15rem; font-size: .9rem; }

.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 14.5rem), 1fr)); gap: 1rem; margin-top: 1rem; }
.card { display: flex; flex-direction: column; min-width: 0; overflow: hidden; background: var(--surface); border: 1px solid var(--line); border-radius: 12px; box-shadow: var(--shadow); }
.thumb { display: grid; place-items: center; aspect-ratio: 4 / 3; padding: .5rem; background: repeating-conic-gradient(var(--check-a) 0 25%, var(--check-b) 0 50%) 0 0 / 18px 18px; }
.thumb img { display: block; max-width: 100%; max-height: 100%; min-width: 0; min-height: 0; object-fit: contain; border-radius: 3px; }
.thumb.none { background: var(--sunken); color: var(--muted); font-size: .85rem; }
.body { display: grid; grid-template-columns: minmax(0, 1fr); gap: .4rem; overflow-wrap: anywhere; padding: .8rem .9rem .85rem; font-size: .88rem; }
.name { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; line-height: 1.4; }
.key { overflow-wrap: anywhere; }
.key b { font-weight: 600; }
.folder { color: var(--muted); }
.meta { color: var(--muted); font-size: .82rem; }
.also { font-size: .82rem; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; overflow-wrap: anywhere; }
.also b { font-weight: 500; }
.measure { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 .6rem; color: var(--muted); font-size: .84rem; }
.measure b { color: var(--text); }
.gauge { flex: 0 0 100%; width: 100%; height: 16px; }
.gauge circle.dot { stroke: var(--surface); stroke-width: 1.5; }
.all summary { color: var(--muted); font-size: .82rem; }
.all .full { margin: .35rem 0; max-height: 9rem; overflow: auto; overflow-wrap: anywhere; font-size: .78rem; color: var(--muted); }
.all dl { font-size: .82rem; }
.all dl div { display: flex; justify-content: space-between; gap: .75rem; padding: .12rem 0; border-top: 1px solid var(--line); }
dt { color: var(--muted); overflow-wrap: anywhere; }
dd { margin: 0; overflow-wrap: anywhere; }

.groups { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); gap: 1rem; margin-top: 1rem; }
.twins { padding: 1rem; background: var(--surface); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shadow); min-width: 0; }
.twins .grid { grid-template-columns: repeat(auto-fill, minmax(min(100%, 10rem), 1fr)); gap: .75rem; margin-top: .7rem; }
.twins .card { box-shadow: none; }
.twins .card.kept { border-color: var(--accent); }

.list { padding-block: .35rem; margin-top: .9rem; }
.code { padding: 1rem 0; }
.code + .code { border-top: 1px solid var(--line); }
.keys { margin: .6rem 0 0 1.15rem; font-size: .88rem; }
.keys li { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1.2fr); gap: .1rem 1.5rem; padding: .3rem 0; border-top: 1px solid color-mix(in srgb, var(--line) 55%, transparent); }
.keys li:first-child { border-top: 0; }
.keys .key { max-height: 8rem; overflow: auto; }
.detail { color: var(--muted); overflow-wrap: anywhere; }
@media (max-width: 40rem) { .keys { margin-left: 0; } .keys li { grid-template-columns: minmax(0, 1fr); } .sign { display: none; } .equation { display: grid; grid-template-columns: 1fr 1fr; gap: 1.1rem; } }

footer { padding-block: 2rem 4rem; border-top: 1px solid var(--line); }
.receipt { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: .7rem 2rem; margin: .9rem 0 1.4rem; }
.receipt dt { font-size: .82rem; }

@media print {
  :root { --page: #fff; --surface: #fff; --shadow: none; --text: #000; --muted: #444; --line: #ccc; }
  @page { margin: 14mm; }
  body { font-size: 10.5pt; }
  nav, .skip, .all { display: none; }
  main, footer { max-width: none; padding-inline: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .card, .twins, tr, .keys li, .panel.equation { break-inside: avoid; }
  h2, h3, summary { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
  .grid { grid-template-columns: repeat(4, 1fr); }
  .name, .also { display: block; }
}
`;
