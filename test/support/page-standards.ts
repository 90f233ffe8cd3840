import { expect, it } from 'vitest';
import { chromium } from './browser.ts';
import { showPage } from './shown-page.ts';

const HOSTILE_NAMES = [
  ['a script', '<script>alert(1)</script>'],
  ['an end of an attribute', '" onerror="alert(1)" x="'],
  ['single quotes', "' onmouseover='alert(1)"],
  ['an end of the style', '</style><img src=x onerror=alert(1)>'],
  ['a comment', '<!-- --><svg/onload=alert(1)>'],
  ['entities', '&lt;img&gt; &quot;'],
  ['a bidirectional override', 'photo\u202egpj.exe'],
  ['line ends and control characters', 'a\n\r\0\x1bb'],
  ['an unpaired surrogate', 'a\ud800b'],
  ['2,000 characters', 'x'.repeat(2000)],
] as const;

/** Every tag of a page with the names of its attributes: what a hostile name could add to. */
function structure(page: string): string[] {
  return [...page.matchAll(/<\/?[a-zA-Z!][^>]*>/g)].map(([tag]) => tag.replace(/="[^"]*"/g, '=""'));
}

/**
 * What each HTML page of the project holds to.
 *
 * @param render a page in which everything that comes from outside is this name.
 * @param links what it may lead to beside its own sections.
 */
export function itMeetsPageStandards(render: (name: string) => string, links: readonly string[] = []): void {
  it.each(HOSTILE_NAMES)('has the same elements and attributes when a name holds %s', (_, name) => {
    // A folder is set apart from a name: an honest name has as many of them.
    const honest = name.replace(/[^/]/g, 'n');
    expect(structure(render(name))).toEqual(structure(render(honest)));
  });

  it('needs nothing but itself: no script, no address of any server', () => {
    const page = render('javascript:alert(1)');
    expect(page).not.toMatch(/<script|<link[^>]+stylesheet|@import|url\((?!["']?data:)/i);
    const led = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, to]) => to ?? '');
    expect(led.filter((to) => !/^(data:|#)/.test(to) && !links.includes(to))).toEqual([]);
    expect(page).toMatch(/Content-Security-Policy" content="default-src (&#39;|')none/);
  });

  it('has a target for each link of its navigation, and each id once', () => {
    const page = render('name');
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
  });

  it.skipIf(chromium === undefined)(
    'is shown by a browser as it is meant: styled, asking for nothing, within a phone, each part with a name',
    async () => {
      const { nodes, ...shown } = await showPage(chromium ?? '', render('a'.repeat(120)));
      expect(shown).toEqual({
        asked: [],
        complaints: [],
        isStyled: true,
        overflowPx: { 320: 0, 1280: 0 },
        unreachable: 0,
      });
      const named = (...roles: string[]): string[] =>
        nodes.filter(({ role }) => roles.includes(role)).map(({ name }) => name);
      expect(named('main')).toHaveLength(1);
      expect(named('navigation')).toEqual(['Sections']);
      for (const roles of [
        ['heading'],
        ['link'],
        ['image', 'img'],
        ['region'],
        ['columnheader', 'rowheader'],
      ])
        expect([roles, named(...roles).filter((name) => name.trim() === '')]).toEqual([roles, []]);
    },
  );
}
