import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { query } from '#test/support/query.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { lastLine, type RunLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const good = sharedFolder('corpus', 'good');
const bad = sharedFolder('corpus', 'bad');

async function audit<T>(
  source: string,
  look: (run: RunLine, rows: Record<string, unknown>[]) => T | Promise<T>,
): Promise<T> {
  await using out = await temporaryFolder();
  const result = await sluice('run', source, '--out', out.path, '--json', '--quiet').result;
  expect(result.stderr).toBe('');
  expect(result.exitCode).toBe(0);
  const run = lastLine(result);
  const rows = await query(`SELECT * FROM '${run.outputs.audit}' ORDER BY key`);
  expect(run.planned).toBe(run.audited + run.unreadable + run.failed);
  expect(rows.map((row) => row['key']).sort()).toEqual((await readdir(source)).sort());
  return look(run, rows);
}

describe.skipIf(good === undefined)(
  `the corpus of good images ${good === undefined ? NEEDS_SHARED : ''}`,
  () => {
    it('is audited image by image; only the index is no image', () =>
      audit(good as string, (run, rows) => {
        const unreadable = rows
          .filter((row) => row['state'] !== 'audited')
          .map((row) => [row['key'], row['error_code']]);
        expect(unreadable).toEqual([['INDEX.tsv', 'not-an-image']]);
        expect(run.failed).toBe(0);
        const formats = new Set(rows.map((row) => row['format']));
        for (const format of ['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif', 'heic', 'bmp'])
          expect(formats).toContain(format);
      }));

    it('gives all eight EXIF orientations of one picture one upright size, and hashes that make them near duplicates', () =>
      audit(good as string, (_run, rows) => {
        const landscapes = rows.filter((row) => String(row['key']).startsWith('sharp_Landscape_'));
        expect(landscapes).toHaveLength(8);
        expect(new Set(landscapes.map((row) => `${row['width']}x${row['height']}`))).toEqual(
          new Set(['600x450']),
        );
        expect(new Set(landscapes.map((row) => row['near_group']))).toEqual(
          new Set(['sharp_Landscape_1.jpg']),
        );
        // Eight JPEGs, each compressed by itself: their pixels differ. Any two are within the radius all the same.
        const hashes = landscapes.map((row) => BigInt(`0x${row['perceptual_hash']}`));
        const apart = hashes.flatMap((a) => hashes.map((b) => bitsOf(a ^ b)));
        expect(Math.max(...apart)).toBeLessThanOrEqual(4);
      }));
  },
);

describe.skipIf(bad === undefined)(`the corpus of bad files ${bad === undefined ? NEEDS_SHARED : ''}`, () => {
  it('stops nothing, and leaks neither a path nor the name of another file', () =>
    audit(bad as string, (run, rows) => {
      expect(run.failed).toBe(0);
      expect(run.unreadable).toBeGreaterThan(30);
      for (const row of rows) {
        const detail = String(row['error_detail'] ?? '');
        expect(detail).not.toMatch(/\/[a-z]+\/|\\|root:/i);
        expect(detail).not.toContain(String(row['key']));
      }
    }));
});

describe('a source', () => {
  it('of an unreadable, an empty, a missing and a text file gives each its own code', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, 'images'));
    await writeFile(join(folder.path, 'images', 'empty.jpg'), '');
    await writeFile(join(folder.path, 'images', 'text.jpg'), 'this is no image');
    await writeFile(
      join(folder.path, 'list.txt'),
      [
        'images/empty.jpg',
        'images/text.jpg',
        'images/gone.jpg',
        '../outside.jpg',
        '{"key":',
        'images/text.jpg',
      ].join('\n'),
    );
    const out = join(folder.path, 'out');
    const result = await sluice('run', join(folder.path, 'list.txt'), '--out', out, '--json').result;
    const run = lastLine(result);
    expect([run.planned, run.audited, run.unreadable, run.failed]).toEqual([3, 0, 3, 0]);
    expect(result.stderr).toMatch(/manifest line 4 skipped: it leads out/);
    expect(result.stderr).toMatch(/manifest line 5 skipped: .*not valid JSON/);
    expect(result.stderr).toMatch(/manifest line 6 skipped: the same image as in line 2/);
    const rows = await query(`SELECT key, error_code FROM '${run.outputs.audit}' ORDER BY key`);
    expect(rows).toEqual([
      { key: 'images/empty.jpg', error_code: 'empty' },
      { key: 'images/gone.jpg', error_code: 'missing' },
      { key: 'images/text.jpg', error_code: 'not-an-image' },
    ]);
    const summary = JSON.parse(await readFile(run.outputs.summary, 'utf8')) as { sourceProblemCount: number };
    expect(summary.sourceProblemCount).toBe(3);
  });
});

function bitsOf(word: bigint): number {
  return word.toString(2).replaceAll('0', '').length;
}
