import { describe, expect, it } from 'vitest';
import { parseManifestLine } from '#core/manifest-line.ts';

describe('a manifest line', () => {
  it.each([
    ['photos/a.jpg', 'photos/a.jpg'],
    ['  with spaces.jpg  ', 'with spaces.jpg'],
    ['./a/../b//c.png', 'b/c.png'],
    ['"quoted \\"name\\".jpg"', 'quoted "name".jpg'],
    ['{"key": "k.webp", "bytes": 12, "label": "ignored"}', 'k.webp'],
    ['ünïcode/日本.heic', 'ünïcode/日本.heic'],
    ['Paris, France.jpg', 'Paris, France.jpg'],
    ['a,b.jpg', 'a,b.jpg'],
  ])('%j names the key %j', (line, key) => {
    expect(parseManifestLine(line)).toEqual({ key });
  });

  it.each(['', '   ', '# a comment'])('%j names nothing', (line) => {
    expect(parseManifestLine(line)).toBeUndefined();
  });

  it.each([
    ['/etc/passwd', /absolute/],
    ['C:\\photos\\a.jpg', /absolute/],
    ['../outside.jpg', /leads out/],
    ['a/../../outside.jpg', /leads out/],
    ['{"key": 5}', /"key"/],
    ['{"name": "a.jpg"}', /"key"/],
    ['{"key": "a.jpg"', /not valid JSON/],
    ['broken \uFFFD text', /UTF-8/],
    ['./.', /no file/],
    ['https://example.com/a.jpg', /URL/],
    ['s3://photos/a.jpg', /--root/],
    ['key,bytes', /CSV/],
    ['"image path";"label"', /CSV/],
  ])('%j is a problem', (line, problem) => {
    expect(parseManifestLine(line)).toEqual({ problem: expect.stringMatching(problem) });
  });
});
