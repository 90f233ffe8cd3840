import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LoadedModel, loadModel } from '#adapters/model-folder.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { ModelManifest } from '#core/model-manifest.ts';
import { type Depth, resnet } from './resnet.ts';

const SIDE_PX = 224;
/** The `source` of these models. */
export const RESNET_SOURCE = 'bench/gpu/resnet.ts';

/** A ResNet as an imported model: a folder of its own, with its ONNX file and its manifest. */
export async function writeResNet(models: string, depth: Depth): Promise<LoadedModel> {
  const name = `resnet${depth}`;
  const folder = join(models, name);
  const bytes = resnet(depth);
  const manifest = ModelManifest.parse({
    schema: 1,
    name,
    description: 'a ResNet with seeded weights: how fast it runs does not depend on their values',
    license: 'Apache-2.0',
    source: RESNET_SOURCE,
    file: `${name}.onnx`,
    sha256: sha256Hex(bytes),
    preprocess: {
      widthPx: SIDE_PX,
      heightPx: SIDE_PX,
      resize: { mode: 'shorter-side+center-crop', shorterSidePx: 256 },
      kernel: 'linear',
      fidelity: 'faithful',
      color: 'srgb',
      background: [255, 255, 255],
    },
    inputs: [{ name: 'pixels', from: 'pixels' }],
    outputs: [
      {
        name: 'logits',
        decode: 'softmax',
        labels: Array.from({ length: 1000 }, (_, i) => `class_${i}`),
        topK: 5,
      },
    ],
    policy: { rules: [] },
  });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, manifest.file), bytes);
  await writeFile(join(folder, 'model.json'), JSON.stringify(manifest));
  return loadModel(folder);
}
