import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Browser } from './browser.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** What a browser makes of a page. */
export interface ShownPage {
  /** Addresses that it asked for, beside the page's own and data within it. */
  readonly asked: readonly string[];
  /** What its console says: refused styles, broken markup. */
  readonly complaints: readonly string[];
  /** Whether the style sheet was let through by the Content-Security-Policy. */
  readonly isStyled: boolean;
  /** At each width in CSS pixels, by how many the page is wider than its window. */
  readonly overflowPx: Readonly<Record<number, number>>;
  /** The accessibility tree: each node with a role that matters, and its name. */
  readonly nodes: readonly { readonly role: string; readonly name: string }[];
  /** Regions that scroll sideways at the narrowest width and cannot be reached with the keyboard. */
  readonly unreachable: number;
}

/** A phone, the narrowest that WCAG 1.4.10 asks for, and a desk. */
const WIDTHS = [1280, 320];

interface AxNode {
  readonly ignored: boolean;
  readonly role?: { readonly value: string };
  readonly name?: { readonly value: string };
}

export async function showPage(executable: string, page: string): Promise<ShownPage> {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'page.html');
  await writeFile(file, page);
  const url = pathToFileURL(file).href;
  await using browser = await Browser.start(executable);
  const asked: string[] = [];
  const complaints: string[] = [];
  browser.on<{ request: { url: string } }>('Network.requestWillBeSent', ({ request }) => {
    if (request.url !== url && !request.url.startsWith('data:')) asked.push(request.url);
  });
  browser.on<{ entry: { text: string } }>('Log.entryAdded', ({ entry }) => void complaints.push(entry.text));
  for (const domain of ['Network', 'Log', 'Page', 'Accessibility']) await browser.send(`${domain}.enable`);
  const loaded = new Promise<void>((resolve) => browser.on('Page.loadEventFired', () => resolve()));
  await browser.send('Page.navigate', { url });
  await loaded;
  const overflowPx: Record<number, number> = {};
  for (const width of WIDTHS) {
    await browser.send('Emulation.setDeviceMetricsOverride', {
      width,
      height: 800,
      deviceScaleFactor: 1,
      mobile: false,
    });
    overflowPx[width] = await browser.evaluate<number>(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    );
  }
  const { nodes } = await browser.send<{ nodes: AxNode[] }>('Accessibility.getFullAXTree');
  return {
    asked,
    complaints,
    isStyled: await browser.evaluate<boolean>("getComputedStyle(document.body).marginTop === '0px'"),
    overflowPx,
    nodes: nodes
      .filter(({ ignored }) => !ignored)
      .map(({ role, name }) => ({ role: role?.value ?? '', name: name?.value ?? '' })),
    unreachable: await browser.evaluate<number>(
      "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth && e.tabIndex < 0).length",
    ),
  };
}
