import type { Judged } from './judged-alone.ts';

/** One row that a cascade is to have in its second stage, for all objects in that very place. */
export interface Piece {
  readonly key: string;
  /** `x,y,width,height` */
  readonly region: string;
}

export interface ExpectedPieces {
  /** Without what is in the very same place as another. */
  readonly pieces: readonly Piece[];
  /** With it. */
  readonly objects: number;
}

/**
 * The pieces that a cascade cuts out, from what its detector says: computed here from the boxes, knowing nothing of how
 * the cascade does it.
 *
 * @param margin on each side of a box, as a share of its width and height.
 * @param labels of the objects that are handed on; none means all.
 */
export function expectedPieces(
  judged: ReadonlyMap<string, Judged>,
  { margin, labels = [] }: { readonly margin: number; readonly labels?: readonly string[] },
): ExpectedPieces {
  const pieces = new Map<string, Piece>();
  let objects = 0;
  for (const [key, one] of judged) {
    if ('refusal' in one) continue;
    for (const { label, box } of one.objects) {
      if (labels.length > 0 && !labels.includes(label)) continue;
      objects++;
      const [left, right] = wholePixels(box.leftPx, box.rightPx, margin, one.widthPx);
      const [top, bottom] = wholePixels(box.topPx, box.bottomPx, margin, one.heightPx);
      const region = [left, top, right - left, bottom - top].join();
      pieces.set(`${key} ${region}`, { key, region });
    }
  }
  return { pieces: [...pieces.values()], objects };
}

/** From which pixel of a side to which (that one not among them) a box with its margin reaches. */
function wholePixels(from: number, to: number, margin: number, sidePx: number): [number, number] {
  const around = (to - from) * margin;
  return [Math.max(0, Math.floor(from - around)), Math.min(sidePx, Math.ceil(to + around))];
}
