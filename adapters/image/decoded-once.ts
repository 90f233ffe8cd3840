import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import type { RawOutcome } from './picture-decoder.ts';
import type { ScalablePicture } from './sharp-picture.ts';

/**
 * What has been decoded of one picture, or of one region of it, for all that is made of it. Only what came out well is kept: a decoding
 * that failed is done again, so that each taker meets what it would meet by itself.
 */
export class DecodedOnce {
  #raw: RawOutcome | undefined;
  /** Only the last one is held: memory is counted for one. */
  #whole: { readonly name: string; readonly pixels: Uint8Array } | undefined;

  /** The picture of a file that sharp does not decode. */
  async raw(decode: () => Promise<RawOutcome>): Promise<RawOutcome> {
    if (this.#raw?.ok === true) return this.#raw;
    this.#raw = await decode();
    return this.#raw;
  }

  /** The whole picture as uint8 RGB, which must not be written to. A scaled one is decoded to its scale, and shared with nobody. */
  async whole(
    picture: ScalablePicture,
    spec: Pick<PreprocessSpec, 'color' | 'background'>,
  ): Promise<Uint8Array> {
    const name = `${spec.color} ${spec.background}`;
    if (this.#whole?.name === name) return this.#whole.pixels;
    this.#whole = undefined;
    const pixels = await picture.whole(spec);
    this.#whole = { name, pixels };
    return pixels;
  }
}
