import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openJobSource, prefixInside } from '#cli/job-source.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

describe('a source', () => {
  it.each([
    ['a picture', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]), /is a picture \(jpeg\).*sluice explain/],
    ['a PDF', Buffer.from('%PDF-1.7\n'), /is no text/],
    ['bytes that are no text', Buffer.from([65, 0, 66, 0]), /is no text/],
    ['a table', Buffer.from('\uFEFFkey,bytes\na.jpg,12\n'), /a table with the columns key,bytes/],
  ])('is no manifest where it is %s, and says what it is', async (_, bytes, message) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'file');
    await writeFile(path, bytes);
    await expect(openJobSource(path)).rejects.toMatchObject({
      code: 'source-invalid',
      message: expect.stringMatching(message),
    });
  });

  it.each(['', 'a.jpg\n', '{"key":"a.jpg"}\n'])('is a manifest where it is %j', async (text) => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'file'), text);
    await expect(openJobSource(join(folder.path, 'file'))).resolves.toMatchObject({ label: 'file' });
  });

  it('never has the results of an earlier run among its images, also where they lie beside them', () => {
    const location = { kind: 'folder', root: '/photos' } as const;
    expect(prefixInside(location, '/photos/out')).toEqual(['out/']);
    expect(prefixInside(location, '/photos')).toContain('audit.parquet');
    expect(prefixInside(location, '/elsewhere')).toEqual([]);
  });
});
