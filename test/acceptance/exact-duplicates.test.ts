import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { writePhotos } from '#test/support/photo-folder.ts';
import { query } from '#test/support/query.ts';
import { lastLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

describe('exact duplicates', () => {
  it('have the same pixels, whatever their files are, and nothing less', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await mkdir(photos);
    await writePhotos(folder.path, 1);
    // So large that the decoder shrinks the JPEG on the way to the model's 128 px.
    const enlarged = await sharp(join(folder.path, '0000.jpg')).resize(1280, 960).jpeg().toBuffer();
    const { data, info } = await sharp(enlarged).raw().toBuffer({ resolveWithObject: true });
    const raw = { width: info.width, height: info.height, channels: info.channels } as const;
    await writeFile(join(photos, 'a.jpg'), enlarged);
    await copyFile(join(photos, 'a.jpg'), join(photos, 'b.jpg'));
    await sharp(data, { raw }).png().toFile(join(photos, 'c.png'));
    await sharp(data, { raw }).webp({ lossless: true }).toFile(join(photos, 'd.webp'));
    data[data.length / 2] = (data[data.length / 2] as number) ^ 1;
    await sharp(data, { raw }).png().toFile(join(photos, 'e, one bit.png'));

    const out = join(folder.path, 'out');
    expect((await sluice('run', photos, '--out', out, '--quiet').result).exitCode).toBe(0);
    const rows = await query(
      `SELECT key, exact_group, near_group, duplicate_of, content_hash, pixel_hash FROM '${out}/audit.parquet' ORDER BY key`,
    );
    const [jpeg, copy, png, webp, changed] = rows;
    expect(rows.map((row) => row['exact_group'])).toEqual(['a.jpg', 'a.jpg', 'a.jpg', 'a.jpg', null]);
    expect(rows.map((row) => row['near_group'])).toEqual(Array(5).fill('a.jpg'));
    expect(new Set([jpeg, copy, png, webp].map((row) => row?.['pixel_hash'])).size).toBe(1);
    // What the model sees tells them apart where they are the same, and not where they differ.
    expect(jpeg?.['content_hash']).not.toBe(png?.['content_hash']);
    expect(changed?.['content_hash']).toBe(png?.['content_hash']);

    // Decided anew, from what is known of the pixels: the images need not even be there.
    const policy = join(folder.path, 'policy.json');
    const rule = { check: 'copy', when: { measure: 'exact_duplicate', above: 0 }, verdict: 'reject' };
    await writeFile(policy, JSON.stringify({ rules: [rule] }));
    for (const file of ['b.jpg', 'c.png']) await writeFile(join(photos, file), 'no image any more');
    const again = lastLine(await sluice('run', photos, '--out', out, '--policy', policy, '--json').result);
    expect(again.verdicts).toMatchObject({ reject: 3, pass: 2 });
  });
});
