import { crc32, deflateSync } from 'node:zlib';

/**
 * Legal files that cost a decoder far more than their size suggests, made without any image library.
 */

/**
 * A progressive JPEG whose every coefficient is zero, in as many scans as the standard allows: each band of
 * frequencies of each of three components is sent bit by bit (spectral selection × successive approximation,
 * ITU-T T.81 Annex G). A decoder goes over all its blocks once for every scan.
 */
export function manyScansJpeg(sidePx: number, scans: number): Buffer {
  const blocks = Math.ceil(sidePx / 8) ** 2;
  const parts: Buffer[] = [Buffer.from([0xff, 0xd8])];
  parts.push(segment(0xdb, Buffer.concat([Buffer.from([0]), Buffer.alloc(64, 1)])));
  const frame = Buffer.from([
    8,
    sidePx >> 8,
    sidePx & 255,
    sidePx >> 8,
    sidePx & 255,
    3,
    1,
    0x11,
    0,
    2,
    0x11,
    0,
    3,
    0x11,
    0,
  ]);
  parts.push(segment(0xc2, frame));
  // DC table: one code of one bit for "no difference". AC table: the same for the run of 16,384 to 32,767 empty blocks,
  // and two bits each for the shorter runs that end a scan.
  parts.push(segment(0xc4, huffmanTable(0x00, [1], [0])));
  parts.push(
    segment(
      0xc4,
      huffmanTable(
        0x10,
        [0, 0, 0, 15],
        Array.from({ length: 15 }, (_, run) => run << 4),
      ),
    ),
  );
  parts.push(scan([1, 2, 3], 0, 0, 0, bitsToBytes('0'.repeat(3 * blocks))));
  let made = 1;
  for (let approximation = 13; approximation >= 0 && made < scans; approximation--) {
    for (let component = 1; component <= 3 && made < scans; component++) {
      for (let band = 1; band <= 63 && made < scans; band++, made++) {
        const high = approximation === 13 ? 0 : approximation + 1;
        parts.push(scan([component], band, band, (high << 4) | approximation, emptyBlocks(blocks)));
      }
    }
  }
  parts.push(Buffer.from([0xff, 0xd9]));
  return Buffer.concat(parts);
}

/** Runs of empty blocks (EOBn, n up to 14) that add up to `blocks`. */
function emptyBlocks(blocks: number): Buffer {
  let bits = '';
  for (let left = blocks; left > 0; ) {
    const size = Math.min(14, Math.floor(Math.log2(left)));
    const run = Math.min(left, 2 ** (size + 1) - 1);
    bits += size.toString(2).padStart(4, '0');
    if (size > 0) bits += (run - 2 ** size).toString(2).padStart(size, '0');
    left -= run;
  }
  return bitsToBytes(bits);
}

function scan(
  components: readonly number[],
  from: number,
  to: number,
  approximation: number,
  data: Buffer,
): Buffer {
  const tables = components.flatMap((component) => [component, 0x00]);
  return Buffer.concat([
    segment(0xda, Buffer.from([components.length, ...tables, from, to, approximation])),
    data,
  ]);
}

function huffmanTable(id: number, counts: readonly number[], symbols: readonly number[]): Buffer {
  const padded = Array.from({ length: 16 }, (_, i) => counts[i] ?? 0);
  return Buffer.from([id, ...padded, ...symbols]);
}

function segment(marker: number, body: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(body.length + 2, 2);
  return Buffer.concat([head, body]);
}

/** Entropy-coded data: padded with ones, and FF stuffed. */
function bitsToBytes(bits: string): Buffer {
  const bytes: number[] = [];
  for (let i = 0; i < bits.length; i += 8) {
    const byte = Number.parseInt(bits.slice(i, i + 8).padEnd(8, '1'), 2);
    bytes.push(byte);
    if (byte === 0xff) bytes.push(0);
  }
  return Buffer.from(bytes);
}

/** A small PNG with compressed text chunks that each inflate to `megabytes` of blanks. */
export function textBombPng(chunks: number, megabytes: number): Buffer {
  const text = Buffer.concat([
    Buffer.from('Comment\0\0'),
    deflateSync(Buffer.alloc(megabytes * 1_000_000, ' ')),
  ]);
  const bombs = Array.from({ length: chunks }, () => pngChunk('zTXt', text));
  return png(2, 2, 0, bombs);
}

/** A PNG whose header claims this size; its picture is that of 2×2 pixels. */
export function pngClaiming(widthPx: number, heightPx: number, interlace: 0 | 1 = 0): Buffer {
  return png(widthPx, heightPx, interlace, []);
}

function png(widthPx: number, heightPx: number, interlace: number, extra: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(widthPx, 0);
  header.writeUInt32BE(heightPx, 4);
  header.set([8, 2, 0, 0, interlace], 8);
  const pixels = deflateSync(Buffer.from([0, 10, 20, 30, 40, 50, 60, 0, 70, 80, 90, 100, 110, 120]));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    ...extra,
    pngChunk('IDAT', pixels),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

function pngChunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const chunk = Buffer.alloc(named.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  named.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(named), named.length + 4);
  return chunk;
}

/** 34 bytes that claim to be a lossless WebP of this size. */
export function tinyWebpClaiming(widthPx: number, heightPx: number): Buffer {
  const file = Buffer.alloc(34);
  file.write('RIFF', 0, 'latin1');
  file.writeUInt32LE(26, 4);
  file.write('WEBPVP8L', 8, 'latin1');
  file.writeUInt32LE(13, 16);
  file[20] = 0x2f;
  file.writeUInt32LE(((widthPx - 1) | ((heightPx - 1) << 14)) >>> 0, 21);
  return file;
}

/** A GIF of one pixel with this many frames. */
export function manyFramesGif(frames: number): Buffer {
  const head = Buffer.from('GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff', 'latin1');
  const frame = Buffer.from(',\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0', 'latin1');
  return Buffer.concat([head, ...Array.from({ length: frames }, () => frame), Buffer.from(';')]);
}
