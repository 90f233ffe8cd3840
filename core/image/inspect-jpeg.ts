import { ByteReader } from './byte-reader.ts';
import { exifOrientation } from './exif-orientation.ts';
import { corrupt, type HeaderResult, headerOf, truncated } from './image-header.ts';

const MARKER = 0xff;
const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const APP1 = 0xe1;
const DHT = 0xc4;
const JPG = 0xc8;
const DAC = 0xcc;
const EXIF = 'Exif\0\0';

/**
 * Reads a JPEG's frame header, orientation and number of scans by walking its markers (ITU-T T.81, Annex B).
 *
 * Scans are counted only where the decoder reads them all before it gives a row: in progressive files, and in
 * sequential ones whose first scan does not hold every component.
 */
export function inspectJpeg(bytes: Uint8Array): HeaderResult {
  const reader = new ByteReader(bytes);
  let orientation: number | null | undefined;
  let frame: { marker: number; widthPx: number; heightPx: number; components: number } | undefined;
  let at = 2;
  for (;;) {
    // Junk between segments is the decoder's to judge; here it is skipped.
    at = bytes.indexOf(MARKER, at);
    if (at < 0) return truncated('the JPEG ends before its picture');
    const marker = bytes[at + 1];
    if (marker === undefined) return truncated('the JPEG ends before its picture');
    if (marker === EOI) return corrupt('the JPEG has no picture in it');
    if (marker === MARKER || marker === 0 || marker === SOI || isStandalone(marker)) {
      at += marker === MARKER ? 1 : 2;
      continue;
    }
    const length = reader.u16(at + 2);
    if (length === undefined) return truncated('the JPEG ends before its picture');
    if (length < 2) return corrupt('a JPEG segment has an impossible length');
    if (isFrame(marker) && frame === undefined) {
      const heightPx = reader.u16(at + 5);
      const widthPx = reader.u16(at + 7);
      const components = reader.u8(at + 9);
      if (heightPx === undefined || widthPx === undefined || components === undefined) {
        return truncated('the JPEG ends inside its frame header');
      }
      frame = { marker, widthPx, heightPx, components };
    } else if (marker === APP1 && reader.text(at + 4, 6) === EXIF) {
      // Of several EXIF blocks the decoder chooses one.
      orientation =
        orientation === undefined ? exifOrientation(bytes.subarray(at + 10, at + 2 + length)) : null;
    } else if (marker === SOS) break;
    at += 2 + length;
  }
  if (frame === undefined) return corrupt('the JPEG has a scan before its frame header');
  const isProgressive = frame.marker === 0xc2 || frame.marker === 0xca;
  const readsAllScans = isProgressive || (reader.u8(at + 4) ?? 0) < frame.components;
  return headerOf(
    {
      widthPx: frame.widthPx,
      heightPx: frame.heightPx,
      isBuffered: readsAllScans,
      passes: readsAllScans ? countScans(bytes, at) : 1,
      isCmyk: frame.components === 4,
      orientation: orientation === undefined ? 1 : orientation,
    },
    'JPEG',
  );
}

/** Counts the scans from the first one on: entropy-coded data holds no marker but restarts, stuffed as FF00. */
function countScans(bytes: Uint8Array, firstScan: number): number {
  let scans = 0;
  for (let at = firstScan; at >= 0; at = bytes.indexOf(MARKER, at)) {
    const marker = bytes[at + 1];
    if (marker === undefined || marker === EOI) break;
    if (marker === MARKER) {
      at += 1;
      continue;
    }
    if (marker === SOS) scans++;
    const isSegment = marker !== 0 && !isStandalone(marker);
    at += isSegment ? 2 + Math.max(2, ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) : 2;
  }
  return scans;
}

/** RST0–7 and TEM have no length field. */
function isStandalone(marker: number): boolean {
  return (marker >= 0xd0 && marker <= 0xd7) || marker === 0x01;
}

function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== DHT && marker !== JPG && marker !== DAC;
}
