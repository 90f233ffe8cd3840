import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32Appender } from '#core/crc32-combine.ts';

describe('the CRC-32 of pieces put together', () => {
  it('is that of all their bytes', () => {
    const pieces = fc.integer({ min: 1, max: 5000 }).chain((length) =>
      fc.record({
        before: fc.uint8Array({ maxLength: 100 }),
        pieces: fc.array(fc.uint8Array({ minLength: length, maxLength: length }), { maxLength: 4 }),
        length: fc.constant(length),
      }),
    );
    fc.assert(
      fc.property(pieces, ({ before, pieces, length }) => {
        const together = pieces.map((piece) => crc32(piece)).reduce(crc32Appender(length), crc32(before));
        expect(together).toBe(crc32(Buffer.concat([before, ...pieces])));
      }),
      { numRuns: 50 },
    );
  });

  it('is that of all their bytes where a piece is longer than 2²⁹ bits', () => {
    const [before, piece] = [Buffer.from('before'), Buffer.alloc(80 * 1024 * 1024, 7)];
    expect(crc32Appender(piece.length)(crc32(before), crc32(piece))).toBe(crc32(piece, crc32(before)));
  });
});
