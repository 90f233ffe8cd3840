import type { ImageFormat } from './image-header.ts';

/** What a file is, by its first bytes; its name is never asked. */
export type Sniffed =
  | { kind: 'image'; format: ImageFormat }
  /** A known format that is not audited, by its common name. */
  | { kind: 'unsupported'; name: string }
  | { kind: 'not-an-image'; what: string };

/** Magic bytes as ISO 8859-1 text at an offset. Sources: the formats' specifications, and file(1)'s magic database. */
const IMAGES: readonly [format: ImageFormat, offset: number, magic: string][] = [
  ['jpeg', 0, '\xff\xd8\xff'],
  ['png', 0, '\x89PNG\r\n\x1a\n'],
  ['gif', 0, 'GIF87a'],
  ['gif', 0, 'GIF89a'],
  ['tiff', 0, 'II*\0'],
  ['tiff', 0, 'MM\0*'],
  ['tiff', 0, 'II+\0'],
  ['tiff', 0, 'MM\0+'],
];

const UNSUPPORTED: readonly [name: string, offset: number, magic: string][] = [
  ['PDF', 0, '%PDF-'],
  ['PostScript', 0, '%!PS'],
  ['Photoshop', 0, '8BPS'],
  ['JPEG XL', 0, '\xff\x0a'],
  ['JPEG XL', 0, '\0\0\0\x0cJXL \r\n\x87\n'],
  ['JPEG 2000', 0, '\0\0\0\x0cjP  \r\n\x87\n'],
  ['JPEG 2000', 0, '\xff\x4f\xff\x51'],
  ['JPEG XR', 0, 'II\xbc\x01'],
  ['OpenEXR', 0, 'v/1\x01'],
  ['Radiance HDR', 0, '#?RADIANCE'],
  ['Radiance HDR', 0, '#?RGBE'],
  ['Windows icon', 0, '\0\0\x01\0'],
  ['Windows cursor', 0, '\0\0\x02\0'],
  ['DirectDraw surface', 0, 'DDS '],
  ['Fujifilm RAW', 0, 'FUJIFILMCCD-RAW'],
  ['Olympus RAW', 0, 'IIRO'],
  ['Panasonic RAW', 0, 'IIU\0'],
  ['QOI', 0, 'qoif'],
  ['farbfeld', 0, 'farbfeld'],
  ['GIMP', 0, 'gimp xcf'],
  ['Matroska video', 0, '\x1a\x45\xdf\xa3'],
];

/** ISO base media brands (ISO/IEC 23008-12 and the AVIF specification) of pictures coded in HEVC and in AV1. */
const HEIC_BRANDS: ReadonlySet<string> = new Set([
  'heic',
  'heix',
  'heim',
  'heis',
  'hevc',
  'hevx',
  'hevm',
  'hevs',
]);
const AVIF_BRANDS: ReadonlySet<string> = new Set(['avif', 'avis']);

/** How far text that is no image is looked into. */
const TEXT_BYTES = 1024;

/** Tells what the bytes are. They must not be empty. */
export function sniffFormat(bytes: Uint8Array): Sniffed {
  const head = latin1(bytes, 0, TEXT_BYTES);
  for (const [format, offset, magic] of IMAGES)
    if (head.startsWith(magic, offset)) return { kind: 'image', format };
  if (head.startsWith('RIFF') && head.startsWith('WEBP', 8)) return { kind: 'image', format: 'webp' };
  if (head.startsWith('RIFF'))
    return { kind: 'unsupported', name: head.startsWith('AVI ', 8) ? 'AVI video' : 'RIFF' };
  if (head.startsWith('ftyp', 4)) return sniffIsoMedia(bytes);
  if (head.startsWith('BM') && isBmpHeader(bytes)) return { kind: 'image', format: 'bmp' };
  for (const [name, offset, magic] of UNSUPPORTED)
    if (head.startsWith(magic, offset)) return { kind: 'unsupported', name };
  if (/^P[1-7][\s#]/.test(head)) return { kind: 'unsupported', name: 'Netpbm' };
  return sniffText(head);
}

function sniffIsoMedia(bytes: Uint8Array): Sniffed {
  const boxBytes =
    ((bytes[0] ?? 0) << 24) | ((bytes[1] ?? 0) << 16) | ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  const end = Math.min(Math.max(boxBytes, 12), 256);
  const brands = [latin1(bytes, 8, 4)];
  for (let at = 16; at + 4 <= end; at += 4) brands.push(latin1(bytes, at, 4));
  // "mif1" alone says only "a picture"; the codec's brand stands among the compatible ones.
  if (brands.some((brand) => AVIF_BRANDS.has(brand))) return { kind: 'image', format: 'avif' };
  if (brands.some((brand) => HEIC_BRANDS.has(brand))) return { kind: 'image', format: 'heic' };
  if (brands[0] === 'mif1' || brands[0] === 'msf1') return { kind: 'image', format: 'heic' };
  return { kind: 'unsupported', name: brands[0] === 'crx ' ? 'Canon RAW' : 'ISO media (video or audio)' };
}

/** "BM" begins many a text: a BMP has a known header size behind it. */
function isBmpHeader(bytes: Uint8Array): boolean {
  const headerBytes =
    (bytes[14] ?? 0) | ((bytes[15] ?? 0) << 8) | ((bytes[16] ?? 0) << 16) | ((bytes[17] ?? 0) << 24);
  return [12, 16, 40, 52, 56, 64, 108, 124].includes(headerBytes);
}

function sniffText(head: string): Sniffed {
  const text = head
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart()
    .toLowerCase();
  const isXml = text.startsWith('<?xml') || text.startsWith('<!--') || text.startsWith('<!doctype svg');
  if (text.startsWith('<svg') || (isXml && text.includes('<svg')))
    return { kind: 'unsupported', name: 'SVG' };
  if (text.startsWith('<!doctype html') || text.startsWith('<html')) {
    return { kind: 'not-an-image', what: 'an HTML page, perhaps an error page saved as an image' };
  }
  if (text.startsWith('version https://git-lfs')) {
    return { kind: 'not-an-image', what: 'a Git LFS pointer: fetch the file itself with "git lfs pull"' };
  }
  if (isXml) return { kind: 'not-an-image', what: 'an XML document' };
  if (head.startsWith('PK\x03\x04')) return { kind: 'not-an-image', what: 'a ZIP archive' };
  return { kind: 'not-an-image', what: 'no image format begins like this' };
}

function latin1(bytes: Uint8Array, from: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(
    'latin1',
    from,
    from + length,
  );
}
