import { crc32 } from 'node:zlib';

/** The first part of a file, as an interrupted upload leaves it. */
export function truncated(file: Buffer, share: number): Buffer {
  return file.subarray(0, Math.floor(file.length * share));
}

/** A PNG whose compressed pixels were overwritten in the middle, so that neither they nor their checksum hold. */
export function corruptedPng(png: Buffer): Buffer {
  const damaged = Buffer.from(png);
  const middle = Math.floor(png.length / 2);
  for (let at = middle; at < middle + 24; at += 1) damaged[at] = damaged[at]! ^ 0xff;
  return damaged;
}

/** A PNG of 67 bytes that claims a picture of many gigabytes: a reader that believes it runs out of memory. */
export function pngThatClaims(widthPx: number, heightPx: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(widthPx, 0);
  header.writeUInt32BE(heightPx, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    pngChunk('IHDR', header),
    pngChunk('IDAT', Buffer.from([0x78, 0x9c, 0x63, 0x60, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01])),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A whole image with something behind its end, as some cameras and messengers write it. */
export function withTrailingGarbage(file: Buffer): Buffer {
  return Buffer.concat([file, Buffer.from('trailing bytes that no decoder should mind\n'.repeat(20))]);
}

export const TEXT_FILE = Buffer.from('This was never a picture. Somebody renamed notes.txt.\n');

export const WEB_PAGE = Buffer.from(
  '<!doctype html>\n<title>404 Not Found</title>\n<p>A downloader saved the error page.</p>\n',
);

/** Refused by default: an SVG is a program for a renderer, and may point at other files. */
export const SVG_FILE = Buffer.from(
  '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240"><rect width="320" height="240" fill="teal"/><circle cx="160" cy="120" r="70" fill="gold"/></svg>\n',
);

export const PDF_STUB = Buffer.from(
  '%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n',
);

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return chunk;
}
