import { describe, expect, it } from 'vitest';
import { StageSource } from '#core/cascade.ts';
import { followUpsOf, regionOf } from '#core/follow-ups.ts';
import { parseRegion, regionText, rowName } from '#core/image-ref.ts';
import { auditRecord } from '#test/support/audit-record.ts';

const box = (leftPx: number, topPx: number, rightPx: number, bottomPx: number) => ({
  leftPx,
  topPx,
  rightPx,
  bottomPx,
});
const size = { widthPx: 100, heightPx: 80 };
const record = auditRecord({ key: 'a.jpg', ...size, etag: 'e', bytes: 7, scores: { blur: 0.5 } });
const boxes = (value: object) => StageSource.parse({ stage: 'faces', boxes: value });
const cat = { label: 'cat', score: 0.9, box: box(10, 10, 20, 30) };
const dog = { label: 'dog', score: 0.5, box: box(40, 40, 60, 60) };

describe('the region of a box', () => {
  it('is the whole pixels that it touches', () => {
    expect(regionOf(box(10.2, 5.9, 19.1, 8), 0, size)).toEqual({ x: 10, y: 5, width: 10, height: 3 });
  });

  it('has a margin that is cut off at the edges', () => {
    expect(regionOf(box(10, 10, 20, 30), 0.5, size)).toEqual({ x: 5, y: 0, width: 20, height: 40 });
    expect(regionOf(box(90, 70, 100, 80), 1, size)).toEqual({ x: 80, y: 60, width: 20, height: 20 });
  });

  it('has a pixel at the least, within the picture', () => {
    expect(regionOf(box(100, 80, 100, 80), 0, size)).toEqual({ x: 99, y: 79, width: 1, height: 1 });
    expect(regionOf(box(0, 0, 0, 0), 0, size)).toEqual({ x: 0, y: 0, width: 1, height: 1 });
  });

  it('can be read back from its text', () => {
    const region = { x: 1, y: 2, width: 3, height: 4 };
    expect(parseRegion(regionText(region))).toEqual(region);
    expect(rowName({ key: 'a.jpg', region })).toBe('a.jpg#xywh=1,2,3,4');
  });
});

describe('what an image hands on', () => {
  const ref = { key: 'a.jpg', etag: 'e', bytes: 7, parent: 'a.jpg' };

  it('is each box, or those of some labels and scores', () => {
    const both = [
      { ...ref, region: { x: 10, y: 10, width: 10, height: 20 } },
      { ...ref, region: { x: 40, y: 40, width: 20, height: 20 } },
    ];
    expect(followUpsOf(record, [cat, dog], boxes({}))).toEqual(both);
    expect(followUpsOf(record, [cat, dog], boxes({ labels: ['dog'] }))).toEqual([both[1]]);
    expect(followUpsOf(record, [cat, dog], boxes({ minScore: 0.8 }))).toEqual([both[0]]);
  });

  it('is one piece for two objects in the same place', () => {
    expect(followUpsOf(record, [cat, { ...cat, label: 'tiger' }], boxes({}))).toHaveLength(1);
  });

  it('lies within the original, also where the image was a piece itself', () => {
    const piece = { ...record, region: { x: 200, y: 100, width: 100, height: 80 } };
    expect(followUpsOf(piece, [cat], boxes({}))).toEqual([
      { ...ref, parent: 'a.jpg#xywh=200,100,100,80', region: { x: 210, y: 110, width: 10, height: 20 } },
    ]);
  });

  it('is the image itself where the condition holds', () => {
    const when = (above: number) =>
      StageSource.parse({ stage: 'cheap', images: { when: { measure: 'blur', above } } });
    expect(followUpsOf(record, [], when(0.4))).toEqual([ref]);
    expect(followUpsOf(record, [], when(0.6))).toEqual([]);
  });

  it('is nothing where it could not be audited', () => {
    const unreadable = { ...record, state: 'unreadable' as const, widthPx: null, heightPx: null };
    expect(followUpsOf(unreadable, [cat], boxes({}))).toEqual([]);
  });
});
