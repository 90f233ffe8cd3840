import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePack, encodePack, type Pack } from '#core/pack.ts';
import { decodeSafetensors } from '#core/safetensors.ts';

function packOf(images: number, sidePx = 4): Pack {
  return {
    header: {
      schema: 1,
      pack: 'job/stage/000000-000',
      preprocessHash: '0123456789abcdef',
      decoderVersion: 'decoder 1',
      items: Array.from({ length: images }, (_, index) => ({
        index,
        ref: { key: `photos/ü "${index}".jpg`, etag: 'e', bytes: 10 },
        widthPx: 4,
        heightPx: 3,
        format: 'jpeg',
        contentHash: '0'.repeat(16),
        perceptualHash: index % 2 === 0 ? null : 'f'.repeat(16),
        preprocessMs: 1.5,
      })),
      refused: [
        {
          index: images,
          ref: { key: 'bad', etag: '', bytes: 0 },
          refusal: { code: 'empty', detail: '' },
          preprocessMs: 0,
        },
      ],
    },
    heightPx: sidePx,
    widthPx: sidePx,
    images: Buffer.from(Array.from({ length: images * sidePx * sidePx * 3 }, (_, i) => i % 251)),
  };
}

function fileOf(pack: Pack): Buffer {
  const { header, body } = encodePack(pack);
  return Buffer.concat([header, body]);
}

describe('a pack', () => {
  it.each([0, 1, 64])('of %i images comes back as it was', (images) => {
    const pack = packOf(images);
    expect(decodePack(fileOf(pack))).toEqual(pack);
  });

  it('holds its tensor as one view into the file, 8-byte aligned', () => {
    const file = fileOf(packOf(3));
    const { images } = decodePack(file);
    expect(images.buffer).toBe(file.buffer);
    expect((images.byteOffset - file.byteOffset) % 8).toBe(0);
  });

  it('has the same bytes every time', () => {
    expect(fileOf(packOf(5)).equals(fileOf(packOf(5)))).toBe(true);
  });

  it('has the same bytes where the checksums of its rows are known', () => {
    const pack = packOf(3);
    const rowBytes = pack.images.length / 3;
    const rowChecksums = [0, 1, 2].map((i) => crc32(pack.images.subarray(i * rowBytes, (i + 1) * rowBytes)));
    expect(fileOf({ ...pack, rowChecksums }).equals(fileOf(pack))).toBe(true);
  });

  it('is an ordinary safetensors file with a uint8 tensor "images" [N, H, W, 3]', () => {
    const { tensorName, shape } = decodeSafetensors(fileOf(packOf(2, 5)));
    expect([tensorName, shape]).toEqual(['images', [2, 5, 5, 3]]);
  });

  it('is refused when any single bit has changed', () => {
    const file = fileOf(packOf(2));
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.nat(7), (at, bit) => {
        const damaged = Buffer.from(file);
        damaged[at] = (damaged[at] as number) ^ (1 << bit);
        expect(() => decodePack(damaged)).toThrow(expect.objectContaining({ code: 'pack-damaged' }));
      }),
      { numRuns: 300 },
    );
  });

  it('is refused when it is cut short or too long', () => {
    const file = fileOf(packOf(2));
    fc.assert(
      fc.property(fc.nat(file.length - 1), (length) => {
        expect(() => decodePack(file.subarray(0, length))).toThrow(
          expect.objectContaining({ code: 'pack-damaged' }),
        );
      }),
    );
    expect(() => decodePack(Buffer.concat([file, Buffer.from('x')]))).toThrow(/damaged|not a readable/);
  });

  it('is refused, whatever bytes stand in its place', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(() => decodePack(Buffer.from(bytes))).toThrow(
          expect.objectContaining({ code: 'pack-damaged' }),
        );
      }),
    );
  });
});
