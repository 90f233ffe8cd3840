import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { messageOf, SluiceError } from '#core/error.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';
import { labelsByIndex } from './labels.ts';
import type { ResizeWish, Wishes } from './wishes.ts';

type Json = Readonly<Record<string, unknown>>;

/** Where exports put the model, the plain one first. */
const MODEL_FILES = ['model.onnx', 'onnx/model.onnx', 'onnx/model_fp16.onnx', 'onnx/model_quantized.onnx'];

/**
 * What a folder as on the Hugging Face hub tells: its ONNX file, and everything of `config.json` and
 * `preprocessor_config.json`, or of the `pretrained_cfg` of timm.
 *
 * @param told what need not be read, because a flag tells it.
 * @throws SluiceError `model-invalid` where there is no single ONNX file, or a file asks for what cannot be done.
 */
export async function readModelFolder(
  folder: string,
  told: Pick<Wishes, 'kernel'> = {},
): Promise<{ modelPath: string; wishes: Wishes }> {
  const modelPath = await findModel(folder);
  const config = await readJson(join(folder, 'config.json'));
  const processor = await readJson(join(folder, 'preprocessor_config.json'));
  const timm = config?.['pretrained_cfg'] as Json | undefined;
  const labels = config?.['id2label'] ?? undefined;
  const readme = await readFile(join(folder, 'README.md'), 'utf8').catch(() => '');
  return {
    modelPath,
    wishes: {
      name: basename(folder),
      license: licenseOf(readme),
      labels: labels === undefined ? labelNames(config) : labelsByIndex(labels as object, 'config.json'),
      decode: config?.['problem_type'] === 'multi_label_classification' ? 'sigmoid' : undefined,
      ...(timm !== undefined && timmWishes(timm, told)),
      ...(processor !== undefined && processorWishes(processor, told)),
    },
  };
}

/** From the front matter of a model card. */
function licenseOf(readme: string): string | undefined {
  const [, frontMatter] = readme.split(/^---$/m);
  return /^license:[ \t]*(\S+)/m.exec(frontMatter ?? '')?.[1];
}

function labelNames(config: Json | undefined): string[] | undefined {
  const names = config?.['label_names'];
  return Array.isArray(names) ? names.map(String) : undefined;
}

async function findModel(folder: string): Promise<string> {
  const files = (await readdir(folder, { recursive: true })).map((file) => file.replaceAll('\\', '/'));
  const models = files.filter((file) => file.endsWith('.onnx'));
  const found =
    MODEL_FILES.find((file) => models.includes(file)) ?? (models.length === 1 ? models[0] : undefined);
  if (found !== undefined) return join(folder, found);
  throw invalid(
    models.length === 0
      ? `"${folder}" holds no .onnx file: export the model first (optimum-cli export onnx --model … ${folder})`
      : `"${folder}" holds ${models.length} .onnx files (${models.slice(0, 5).join(', ')}): name the one to import`,
  );
}

async function readJson(path: string): Promise<Json | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw invalid(`"${basename(path)}" is no JSON: ${messageOf(cause)}`);
  }
}

/** Pillow's numbers of resampling filters (PIL.Image.Resampling); 4 (box) and 5 (Hamming) have no like here. */
const KERNELS: readonly (PreprocessSpec['kernel'] | undefined)[] = ['nearest', 'lanczos3', 'linear', 'cubic'];

/** The image processors of huggingface/transformers, src/transformers/models/…/image_processing_….py. */
function processorWishes(processor: Json, told: Pick<Wishes, 'kernel'>): Wishes {
  const crops = processor['do_center_crop'] === true;
  const size = sizeOf(processor['size'], crops);
  const cropSize = crops ? sizeOf(processor['crop_size'], false) : undefined;
  const cropFraction = numberOf(processor['crop_pct']);
  const [widthPx, heightPx] = cropSize?.sides ?? size?.sides ?? [size?.shorterPx, size?.shorterPx];
  const normalizes = processor['do_normalize'] !== false && processor['image_mean'] !== undefined;
  return {
    widthPx,
    heightPx,
    resize:
      processor['do_resize'] === false ? undefined : resizeOf(size, cropSize !== undefined, cropFraction),
    kernel: told.kernel ?? kernelOf(processor['resample']),
    channelOrder: 'rgb',
    scale: processor['do_rescale'] === false ? 1 : (numberOf(processor['rescale_factor']) ?? 1 / 255),
    mean: normalizes ? triple(processor['image_mean']) : [0, 0, 0],
    std: normalizes ? triple(processor['image_std']) : [1, 1, 1],
  };
}

interface ProcessorSize {
  readonly sides?: readonly [widthPx: number, heightPx: number];
  readonly shorterPx?: number;
}

/** A bare number is both sides, but for processors that crop afterwards it is the shorter one. */
function sizeOf(size: unknown, isShorterSide: boolean): ProcessorSize | undefined {
  if (typeof size === 'number') return isShorterSide ? { shorterPx: size } : { sides: [size, size] };
  const { height, width, shortest_edge: shortest } = (size ?? {}) as Record<string, number | undefined>;
  if (height !== undefined && width !== undefined) return { sides: [width, height] };
  return shortest === undefined ? undefined : { shorterPx: shortest };
}

function resizeOf(
  size: ProcessorSize | undefined,
  crops: boolean,
  cropFraction: number | undefined,
): ResizeWish | undefined {
  const shorterPx = size?.shorterPx;
  // Both sides scaled and then cropped (DeiT) is not to be had: somebody has to say what comes closest.
  if (shorterPx === undefined) return size === undefined || crops ? undefined : { mode: 'squash' };
  // ConvNeXT's processor: below 384 px scale to the size / crop_pct and crop, else squash.
  if (cropFraction !== undefined && !crops)
    return shorterPx >= 384 ? { mode: 'squash' } : { mode: 'center-crop', cropFraction };
  return { mode: 'center-crop', shorterSidePx: shorterPx };
}

function kernelOf(resample: unknown): PreprocessSpec['kernel'] {
  // The processors' default is bilinear where the file says nothing.
  const kernel = KERNELS[numberOf(resample) ?? 2];
  if (kernel === undefined)
    throw invalid(
      `preprocessor_config.json wants resample ${resample} (box or Hamming), which is not to be had: pass --kernel`,
    );
  return kernel;
}

/** `pretrained_cfg` of huggingface/pytorch-image-models, timm/data/transforms_factory.py, `transforms_imagenet_eval`. */
function timmWishes(timm: Json, told: Pick<Wishes, 'kernel'>): Wishes {
  const [, heightPx, widthPx] = timm['input_size'] as [number, number, number];
  const cropFraction = numberOf(timm['crop_pct']) ?? 0.875;
  const mode = timm['crop_mode'] ?? 'center';
  const kernels: Record<string, PreprocessSpec['kernel']> = {
    bilinear: 'linear',
    bicubic: 'cubic',
    lanczos: 'lanczos3',
    nearest: 'nearest',
  };
  const kernel = told.kernel ?? kernels[String(timm['interpolation'] ?? 'bilinear')];
  if (kernel === undefined)
    throw invalid(
      `pretrained_cfg wants interpolation "${timm['interpolation']}", which is not to be had: pass --kernel`,
    );
  return {
    widthPx,
    heightPx,
    resize:
      mode === 'squash' && cropFraction === 1 ? { mode: 'squash' } : { mode: 'center-crop', cropFraction },
    kernel,
    channelOrder: 'rgb',
    scale: 1 / 255,
    mean: triple(timm['mean']),
    std: triple(timm['std']),
  };
}

function triple(value: unknown): [number, number, number] {
  const list = value as number[] | undefined;
  if (list?.length === 3 && list.every(Number.isFinite)) return [list[0]!, list[1]!, list[2]!];
  throw invalid(`expected three numbers as mean and std, got ${JSON.stringify(value)}`);
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function invalid(message: string): SluiceError {
  return new SluiceError('model-invalid', message);
}
