import type { ModelProto } from '#models/onnx/generated/onnx_pb.js';
import type { Agreement } from './compare-models.ts';
import type { SampledImage } from './sample-images.ts';

/** So few already tell layers apart, and there is a model to load for each layer. */
const IMAGES = 24;

/**
 * Layers, the most sensitive one first: by how far scores are off, in the mean, where that layer alone computes on
 * integers.
 */
export async function layersBySensitivity(
  names: readonly string[],
  quantize: (keepFloat: readonly string[]) => ModelProto,
  images: readonly SampledImage[],
  judge: {
    compare(made: ModelProto, images: readonly SampledImage[]): Promise<Agreement>;
    readonly onProgress?: ((message: string) => void) | undefined;
  },
): Promise<readonly string[]> {
  const some = images.slice(0, IMAGES);
  const costs: { name: string; cost: number }[] = [];
  for (const [i, name] of names.entries()) {
    const { meanDifference } = await judge.compare(quantize(names.filter((other) => other !== name)), some);
    costs.push({ name, cost: meanDifference });
    if ((i + 1) % 10 === 0) judge.onProgress?.(`  layer ${i + 1} of ${names.length}`);
  }
  return costs.sort((a, b) => b.cost - a.cost).map(({ name }) => name);
}
