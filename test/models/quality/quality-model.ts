import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { ModelManifest, scoreNames } from '#core/model-manifest.ts';
import { SIDE_PX } from '#models/quality/tensor-size.ts';
import type { RgbImage } from '#test/support/pillow.ts';

export type QualityScores = Readonly<Record<string, number>>;

/** The checked-in model `quality`, run as it stands on small pictures. */
export interface QualityModel {
  readonly manifest: ModelManifest;
  /** Scores of a batch. Every picture fits into the tensor; `padding` is the level of everything outside of it. */
  score(images: readonly RgbImage[], padding?: number): Promise<QualityScores[]>;
}

export async function loadQualityModel(): Promise<QualityModel> {
  const folder = new URL('../../../models/quality/', import.meta.url);
  const manifest = ModelManifest.parse(JSON.parse(await readFile(new URL('model.json', folder), 'utf8')));
  const session = await InferenceSession.create(await readFile(new URL(manifest.file, folder)), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  const names = scoreNames(manifest);
  return {
    manifest,
    async score(images, padding = 0) {
      const pixels = new Uint8Array(images.length * SIDE_PX * SIDE_PX * 3).fill(padding);
      images.forEach((image, n) => {
        placeTopLeft(image, pixels.subarray(n * SIDE_PX * SIDE_PX * 3));
      });
      const sizes = Int32Array.from(images.flatMap(({ heightPx, widthPx }) => [heightPx, widthPx]));
      const { scores } = await session.run({
        images: new Tensor('uint8', pixels, [images.length, SIDE_PX, SIDE_PX, 3]),
        content_size: new Tensor('int32', sizes, [images.length, 2]),
      });
      const values = scores!.data as Float32Array;
      return images.map((_, n) =>
        Object.fromEntries(names.map((name, column) => [name, values[n * names.length + column]!])),
      );
    },
  };
}

function placeTopLeft({ widthPx, heightPx, data }: RgbImage, tensor: Uint8Array): void {
  for (let y = 0; y < heightPx; y++) {
    tensor.set(data.subarray(y * widthPx * 3, (y + 1) * widthPx * 3), y * SIDE_PX * 3);
  }
}
