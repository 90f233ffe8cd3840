import type { PackId } from '#core/job-layout.ts';
import { packIdText } from '#core/job-layout.ts';
import type { Pack, PackHeader, PackItem, RefusedItem } from '#core/pack.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';

/** A pack that is to be made of some images: in which way it takes them. */
export interface PackTarget {
  readonly id: PackId;
  readonly preprocess: PreprocessSpec;
  readonly preprocessHash: string;
}

/** What became of one image in one pack. */
export type ImageResult =
  | { readonly item: PackItem; readonly rowChecksum: number }
  | { readonly refused: RefusedItem };

/** The pixels of a pack that is being made: uint8 RGB, a row for each ref. */
export class PackTensor {
  readonly target: PackTarget;
  readonly #rowBytes: number;
  readonly #pixels: Buffer;

  /** @param refs how many images there are. */
  constructor(target: PackTarget, refs: number) {
    const { widthPx, heightPx } = target.preprocess;
    this.target = target;
    this.#rowBytes = widthPx * heightPx * 3;
    this.#pixels = Buffer.allocUnsafeSlow(refs * this.#rowBytes);
  }

  /** Where the image at this place of the refs goes. */
  row(index: number): Uint8Array {
    return this.#pixels.subarray(index * this.#rowBytes, (index + 1) * this.#rowBytes);
  }

  /** The pack, once each image has its result, in the order of the refs. */
  finish(results: readonly ImageResult[], about: Pick<PackHeader, 'decoderVersion' | 'usage'>): Pack {
    const items: PackItem[] = [];
    const rowChecksums: number[] = [];
    const refused: RefusedItem[] = [];
    for (const [index, result] of results.entries()) {
      if ('refused' in result) {
        refused.push(result.refused);
        continue;
      }
      // Rows of refused images leave holes: close them, so that the tensor is dense.
      const row = items.length;
      if (row !== index) this.#pixels.set(this.row(index), row * this.#rowBytes);
      items.push(result.item);
      rowChecksums.push(result.rowChecksum);
    }
    const { id, preprocess, preprocessHash } = this.target;
    return {
      header: { schema: 1, pack: packIdText(id), preprocessHash, ...about, items, refused },
      heightPx: preprocess.heightPx,
      widthPx: preprocess.widthPx,
      images: this.#pixels.subarray(0, items.length * this.#rowBytes),
      rowChecksums,
    };
  }
}
