import { join } from 'node:path';
import { sharedFolder } from './shared-folder.ts';
import { sluice } from './sluice-command.ts';

const models = sharedFolder('models');
const inModels = (...names: string[]): string => join(models ?? '', ...names);

/** One command for each model, as a user types it: what stands after `sluice models import`. */
export const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  'mobilenet-v2': [
    inModels('mobilenet-v2', 'mobilenet_v2_1.0_224_u8w.onnx'),
    ...['--preset', 'tf-inception', '--labels', inModels('mobilenet-v2', 'imagenet_labels.txt')],
  ],
  nsfwjs: [
    inModels('nsfwjs-mobilenet-v2', 'nsfwjs_mobilenet_v2.onnx'),
    ...['--preset', 'zero-one', '--kernel', 'linear-corners', '--labels', 'Drawing,Hentai,Neutral,Porn,Sexy'],
  ],
  ultraface: [
    inModels('ultraface', 'version-RFB-320.onnx'),
    ...[
      '--resize',
      'squash',
      '--scale',
      '1',
      '--mean',
      '127',
      '--std',
      '128',
      '--labels',
      'face',
      '--kernel',
      'linear-sampled',
    ],
    ...['--min-score', '0.7', '--max-overlap', '0.3'],
  ],
  'yolox-nano': [
    inModels('yolox-nano', 'yolox_nano.onnx'),
    ...['--preset', 'yolox', '--labels', inModels('yolox-nano', 'coco_classes.txt')],
  ],
};

/** Imports these models into a folder, with one command each. */
export async function importModels(names: readonly string[], folder: string): Promise<void> {
  for (const name of names) {
    const flags = [...(IMPORTS[name] ?? []), '--name', name, '--out', folder];
    const { exitCode, stderr } = await sluice('models', 'import', ...flags).result;
    if (exitCode !== 0) throw new Error(`${name} could not be imported: ${stderr}`);
  }
}
