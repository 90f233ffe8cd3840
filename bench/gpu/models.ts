import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LoadedModel, loadModel } from '#adapters/model-folder.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { ModelManifest } from '#core/model-manifest.ts';
import { resnet50 } from './resnet50.ts';

export const SIDE_PX = 224;

/** ResNet-50 as an imported model: a folder with its ONNX file and its manifest. */
export async function writeResNet50(folder: string): Promise<LoadedModel> {
  const bytes = resnet50();
  const manifest = ModelManifest.parse({
    schema: 1,
    name: 'resnet50',
    description: 'ResNet-50 with seeded weights: how fast it runs does not depend on their values',
    license: 'Apache-2.0',
    source: 'bench/gpu/resnet50.ts',
    file: 'resnet50.onnx',
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
