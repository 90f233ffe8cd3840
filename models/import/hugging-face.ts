import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { SluiceError } from '#core/error.ts';
import { HubConfig, ProcessorConfig, readHubFile } from './hub-files.ts';
import { labelsByIndex } from './labels.ts';
import { processorWishes } from './processor-wishes.ts';
import { timmWishes } from './timm-config.ts';
import type { Decode, Wishes } from './wishes.ts';

/** Where exports put the model, the plain one first. */
const MODEL_FILES = ['model.onnx', 'onnx/model.onnx', 'onnx/model_fp16.onnx', 'onnx/model_quantized.onnx'];

const DECODES: Readonly<Record<string, Decode>> = {
  multi_label_classification: 'sigmoid',
  regression: 'scores',
};

/** What flags tell, so that files need not. */
export interface ToldOfFolder {
  readonly kernel?: Wishes['kernel'];
  /** How pictures are preprocessed: the files are not asked then. */
  readonly preset?: string | undefined;
}

/**
 * What a folder as on the Hugging Face hub tells: its ONNX file, and everything of `config.json` and
 * `preprocessor_config.json`, or of the `pretrained_cfg` of timm.
 *
 * @throws SluiceError `model-invalid` where there is no single ONNX file, or a file asks for what is not to be had.
 */
export async function readModelFolder(
  folder: string,
  told: ToldOfFolder = {},
): Promise<{ modelPath: string; wishes: Wishes }> {
  const modelPath = await findModel(folder);
  const config = await readHubFile(join(folder, 'config.json'), HubConfig);
  const readme = await readFile(join(folder, 'README.md'), 'utf8').catch(() => '');
  return {
    modelPath,
    wishes: {
      name: basename(folder),
      source: sourceOf(config) ?? basename(folder),
      license: licenseOf(readme) ?? config?.pretrained_cfg?.license ?? undefined,
      labels: config?.id2label
        ? labelsByIndex(config.id2label, 'config.json')
        : config?.label_names?.map(String),
      decode: DECODES[config?.problem_type ?? ''],
      ...(told.preset === undefined && (await preprocessing(folder, config, told))),
    },
  };
}

async function preprocessing(
  folder: string,
  config: HubConfig | undefined,
  told: ToldOfFolder,
): Promise<Wishes> {
  const processor = await readHubFile(join(folder, 'preprocessor_config.json'), ProcessorConfig);
  // Of a timm model that transformers wraps, the processor's file is a copy of this.
  if (config?.pretrained_cfg) return timmWishes(config.pretrained_cfg, told);
  return processor === undefined ? {} : processorWishes(processor, config?.model_type, told);
}

/** The name on the hub, where a file tells it: never a path of the machine that made the export. */
function sourceOf(config: HubConfig | undefined): string | undefined {
  const names = [config?.pretrained_cfg?.hf_hub_id, config?._name_or_path];
  return names.find((name) => /^[\w.-]+\/[\w.-]+$/.test(name ?? '')) ?? undefined;
}

/** From the front matter of a model card. */
function licenseOf(readme: string): string | undefined {
  const [, frontMatter] = readme.split(/^---$/m);
  return /^license:[ \t]*(\S+)/m.exec(frontMatter ?? '')?.[1];
}

async function findModel(folder: string): Promise<string> {
  const files = (await readdir(folder, { recursive: true })).map((file) => file.replaceAll('\\', '/'));
  const models = files.filter((file) => file.endsWith('.onnx'));
  const found =
    MODEL_FILES.find((file) => models.includes(file)) ?? (models.length === 1 ? models[0] : undefined);
  if (found !== undefined) return join(folder, found);
  throw new SluiceError(
    'model-invalid',
    models.length === 0
      ? `"${folder}" holds no .onnx file: export the model first (optimum-cli export onnx --model … ${folder})`
      : `"${folder}" holds ${models.length} .onnx files (${models.slice(0, 5).join(', ')}): name the one to import`,
  );
}
