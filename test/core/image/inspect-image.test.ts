import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inspectImage } from '#core/image/inspect-image.ts';
import { sniffFormat } from '#core/image/sniff-format.ts';
import { ImageLimits } from '#core/limits.ts';
import {
  manyFramesGif,
  manyScansJpeg,
  pngClaiming,
  textBombPng,
  tinyWebpClaiming,
} from '#test/support/hostile-images.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';

const limits = ImageLimits.parse({});

function refusalOf(bytes: Buffer, some: Partial<ImageLimits> = {}): string | undefined {
  const inspected = inspectImage(bytes, { ...limits, ...some });
  return inspected.ok ? undefined : inspected.refusal.code;
}

describe('sniffing', () => {
  it.each([
    ['%PDF-1.7', 'PDF'],
    ['<svg xmlns="http://www.w3.org/2000/svg">', 'SVG'],
    ['\xef\xbb\xbf  <?xml version="1.0"?><!-- a --><SVG>', 'SVG'],
    ['8BPS\0\x01', 'Photoshop'],
    ['\0\0\x01\0\x01\0', 'Windows icon'],
    ['\0\0\0\x18ftypmp42\0\0\0\0isom', 'ISO media (video or audio)'],
    ['RIFF\0\0\0\0AVI LIST', 'AVI video'],
    ['\xff\x0a', 'JPEG XL'],
    ['P6 10 10 255', 'Netpbm'],
  ])('knows %j as a format that is not audited: %s', (head, name) => {
    expect(sniffFormat(Buffer.from(head, 'latin1'))).toEqual({ kind: 'unsupported', name });
  });

  it.each([
    ['<!DOCTYPE html><title>404', /HTML page/],
    ['version https://git-lfs.github.com/spec/v1', /git lfs pull/],
    ['PK\x03\x04', /ZIP/],
    ['BMP is a format', /no image format/],
    ['hello', /no image format/],
  ])('knows %j as no image', (head, what) => {
    expect(sniffFormat(Buffer.from(head, 'latin1'))).toEqual({
      kind: 'not-an-image',
      what: expect.stringMatching(what),
    });
  });

  it('tells HEIC from AVIF by the compatible brands where the major brand says nothing', () => {
    const file = (brands: string) =>
      Buffer.from(`\0\0\0\x18ftyp${brands.slice(0, 4)}\0\0\0\0${brands.slice(4)}`, 'latin1');
    expect(sniffFormat(file('mif1heicmif1'))).toEqual({ kind: 'image', format: 'heic' });
    expect(sniffFormat(file('mif1avifmiaf'))).toEqual({ kind: 'image', format: 'avif' });
  });
});

describe('a header is held to the limits before anything is decoded', () => {
  it.each([
    ['no bytes at all', Buffer.alloc(0), {}, 'empty'],
    ['more bytes than allowed', pngClaiming(2, 2), { maxImageBytes: 20 }, 'too-many-bytes'],
    ['a PNG of 60,000 × 60,000', pngClaiming(60_000, 60_000), {}, 'too-many-pixels'],
    ['a PNG of 2^31 − 1 squared', pngClaiming(0x7fffffff, 0x7fffffff), {}, 'too-many-pixels'],
    ['a PNG without width', pngClaiming(0, 5), {}, 'corrupt'],
    ['an interlaced PNG over the smaller limit', pngClaiming(9000, 9000, 1), {}, 'too-many-pixels'],
    ['the same PNG row by row', pngClaiming(9000, 9000, 0), {}, undefined],
    ['34 bytes of WebP that claim 16,000 × 16,000', tinyWebpClaiming(16_000, 16_000), {}, 'too-many-pixels'],
    ['a JPEG with 2,000 scans of 16 megapixels', manyScansJpeg(4096, 2000), {}, 'too-many-pixels'],
    ['a JPEG with as many scans of few pixels', manyScansJpeg(64, 2000), {}, undefined],
    ['a GIF with 20,000 frames', manyFramesGif(20_000), {}, 'too-many-frames'],
    ['a GIF with 20 frames', manyFramesGif(20), {}, undefined],
    ['a PNG full of compressed text', textBombPng(200, 1), {}, undefined],
  ])('%s', (_, bytes, some, code) => {
    expect(refusalOf(bytes, some)).toBe(code);
  });
});

describe('inspecting', () => {
  it('never throws on bytes that are only a magic number and noise', () => {
    const magic = fc.constantFrom(
      '\xff\xd8\xff',
      '\x89PNG\r\n\x1a\n',
      'GIF89a',
      'II*\0',
      'MM\0*',
      'II+\0',
      'RIFF\0\0\0\0WEBP',
      '\0\0\0\x18ftypavif',
      '\0\0\0\x18ftypheic',
      'BM',
    );
    fc.assert(
      fc.property(magic, fc.uint8Array({ maxLength: 300 }), (head, tail) => {
        inspectImage(Buffer.concat([Buffer.from(head, 'latin1'), tail]), limits);
      }),
      { numRuns: 3000 },
    );
  });

  it('ends soon on boxes in boxes in boxes', () => {
    const depth = 100_000;
    const file = Buffer.alloc(24 + 8 * depth);
    file.write('\0\0\0\x18ftypavif\0\0\0\0avifmif1', 'latin1');
    for (let i = 0; i < depth; i++) {
      file.writeUInt32BE(8 * (depth - i), 24 + 8 * i);
      file.write('moov', 28 + 8 * i, 'latin1');
    }
    expect(refusalOf(file)).toBe('corrupt');
  });

  it('finds a file too large before it finds it too short', () => {
    expect(refusalOf(tinyWebpClaiming(16_000, 16_000).subarray(0, 30))).toBe('too-many-pixels');
    expect(refusalOf(tinyWebpClaiming(16, 16).subarray(0, 30))).toBe('truncated');
  });

  it('ends soon on a TIFF whose pages form a loop', () => {
    expect(refusalOf(Buffer.from('II*\0\x08\0\0\0\0\0\x08\0\0\0', 'latin1'))).toBe('corrupt');
  });
});

const good = sharedFolder('corpus', 'good');

describe.skipIf(good === undefined)(`headers of real files ${good === undefined ? NEEDS_SHARED : ''}`, () => {
  const files = good === undefined ? [] : readdirSync(good).filter((name) => name !== 'INDEX.tsv');

  it.each(files)('%s is within the limits', (name) => {
    expect(inspectImage(readFileSync(join(good as string, name)), limits)).toMatchObject({ ok: true });
  });

  it('never throw when any of their bytes is changed', () => {
    const heads = files.map((name) => readFileSync(join(good as string, name)).subarray(0, 4096));
    const changes = fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.constantFrom(...heads), changes, (head, bytes) => {
        const changed = Buffer.from(head);
        for (const [at, value] of bytes) if (at < changed.length) changed[at] = value;
        inspectImage(changed, limits);
      }),
      { numRuns: 3000 },
    );
  });
});
