import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { messageOf, SluiceError } from '#core/error.ts';

/** JSON as Python writes it: what is not told may be absent or null. */
const optional = <T extends z.ZodType>(schema: T) => schema.nullish();

const Text = z.string().min(1);
const SidePx = z.int().min(1).max(4096);

/** One number for each channel, or one for all. */
const numbers = (each: z.ZodNumber) =>
  z.union([each.transform((n): number[] => [n, n, n]), z.array(each).length(3)], {
    error: 'expected three numbers, or one',
  });
const Mean = numbers(z.number());
const Std = numbers(z.number().positive());

/** `config.json` of a model on the Hugging Face hub: the part that is read. */
export const HubConfig = z.looseObject({
  _name_or_path: optional(z.string()),
  model_type: optional(Text),
  id2label: optional(z.record(z.string(), z.union([z.string(), z.number()]))),
  label_names: optional(z.array(z.union([z.string(), z.number()]))),
  problem_type: optional(Text),
  pretrained_cfg: optional(
    z.looseObject({
      hf_hub_id: optional(z.string()),
      license: optional(z.string()),
      input_size: optional(z.tuple([z.int().min(1), SidePx, SidePx])),
      interpolation: optional(Text),
      crop_pct: optional(z.number().positive()),
      crop_mode: optional(Text),
      mean: optional(Mean),
      std: optional(Std),
    }),
  ),
});
export type HubConfig = z.infer<typeof HubConfig>;
export type TimmConfig = NonNullable<HubConfig['pretrained_cfg']>;

/** A size of transformers: a number, [height, width], or sides by name. */
const ProcessorSize = z.union(
  [
    SidePx,
    z.tuple([SidePx, SidePx]),
    z.strictObject({ height: SidePx, width: SidePx }),
    z.strictObject({ shortest_edge: SidePx }),
  ],
  { error: 'expected a number, [height, width], "height" and "width", or "shortest_edge" alone' },
);
export type ProcessorSize = z.infer<typeof ProcessorSize>;

/** Keys of processors that say nothing of what becomes of a picture here. */
const OF_NO_MATTER = [
  'processor_class',
  '_valid_processor_keys',
  '_processor_class',
  'data_format',
  'input_data_format',
  'return_tensors',
  'device',
  'disable_grouping',
  'image_seq_length',
  'use_fast',
  'backend',
  // Every picture is RGB here.
  'do_convert_rgb',
  // Of segmentation maps.
  'do_reduce_labels',
  'reduce_labels',
] as const;

/** `preprocessor_config.json` of transformers: all that any of the processors here reads. */
export const ProcessorConfig = z.looseObject({
  image_processor_type: optional(Text),
  feature_extractor_type: optional(Text),
  do_resize: optional(z.boolean()),
  size: optional(ProcessorSize),
  default_to_square: optional(z.boolean()),
  resample: optional(z.int()),
  do_center_crop: optional(z.boolean()),
  crop_size: optional(ProcessorSize),
  crop_pct: optional(z.number().positive()),
  do_rescale: optional(z.boolean()),
  rescale_factor: optional(z.number().positive()),
  rescale_offset: optional(z.boolean()),
  do_normalize: optional(z.boolean()),
  include_top: optional(z.boolean()),
  image_mean: optional(Mean),
  image_std: optional(Std),
  do_flip_channel_order: optional(z.boolean()),
});
export type ProcessorConfig = z.infer<typeof ProcessorConfig>;

/** What a processor's file asks for that no processor here has. What is off, or null, asks for nothing. */
export function unknownSettings(config: ProcessorConfig): string[] {
  const known = new Set<string>([...Object.keys(ProcessorConfig.shape), ...OF_NO_MATTER]);
  return Object.entries(config)
    .filter(([key, value]) => !known.has(key) && value !== null && value !== false)
    .map(([key]) => key);
}

/**
 * A JSON file of a model's folder; `undefined` where there is none.
 *
 * @throws SluiceError `model-invalid` where it is no JSON, or not as expected.
 */
export async function readHubFile<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(`"${basename(path)}" is no JSON: ${messageOf(cause)}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(`"${basename(path)}" is not as expected:\n${z.prettifyError(parsed.error)}\n${WAY_OUT}`);
}

/** What to do where files ask for what is not to be had. */
export const WAY_OUT =
  'To tell by flags instead, pass --preset with what differs from it (--resize, --kernel, --scale, --mean, --std): then these files are not asked how pictures are preprocessed. "sluice models verify --tensor" checks the result';

function invalid(message: string): SluiceError {
  return new SluiceError('model-invalid', message);
}
