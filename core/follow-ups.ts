import type { AuditRecord } from './audit-record.ts';
import type { StageSource } from './cascade.ts';
import type { Detection } from './decode/detection.ts';
import type { Box } from './decode/unplace-box.ts';
import type { Size } from './geometry.ts';
import { type ImageRef, type Region, rowName } from './image-ref.ts';
import { imageMeasures } from './measures.ts';
import { holds } from './policy.ts';

/** What one image hands on to a stage: itself, pieces of it, or nothing. An image that was not audited hands on nothing. */
export function followUpsOf(
  record: AuditRecord,
  detections: readonly Detection[],
  { boxes, images }: StageSource,
): ImageRef[] {
  if (record.state !== 'audited' || record.widthPx === null || record.heightPx === null) return [];
  const { key, etag, bytes, region, widthPx, heightPx } = record;
  const ref = { key, etag, bytes, parent: rowName(record) };
  if (images !== undefined) {
    const passes = holds(images.when, imageMeasures(record, record.scores));
    return passes ? [{ ...ref, ...(region && { region }) }] : [];
  }
  if (boxes === undefined) return [];
  const { labels, minScore, margin } = boxes;
  const found = new Map<string, ImageRef>();
  for (const { label, score, box } of detections) {
    if (score < minScore || (labels !== undefined && !labels.includes(label))) continue;
    const inside = regionOf(box, margin, { widthPx, heightPx });
    const piece = { ...inside, x: inside.x + (region?.x ?? 0), y: inside.y + (region?.y ?? 0) };
    const one = { ...ref, region: piece };
    // Two objects in the very same place are one piece.
    found.set(rowName(one), one);
  }
  return [...found.values()];
}

/** The whole pixels that a box touches, with a margin around it, cut off at the picture's edges. */
export function regionOf(box: Box, margin: number, { widthPx, heightPx }: Size): Region {
  const x = span(box.leftPx, box.rightPx, margin, widthPx);
  const y = span(box.topPx, box.bottomPx, margin, heightPx);
  return { x: x.from, y: y.from, width: x.length, height: y.length };
}

function span(from: number, to: number, margin: number, sidePx: number): { from: number; length: number } {
  const around = (to - from) * margin;
  const start = Math.min(sidePx - 1, Math.max(0, Math.floor(from - around)));
  const end = Math.min(sidePx, Math.max(start + 1, Math.ceil(to + around)));
  return { from: start, length: end - start };
}
