import type { RunConfig } from '#core/config.ts';

/** How the text of a flag or a variable becomes a value. */
type Kind = 'text' | 'number' | 'bytes' | 'list' | 'words';

/** One setting that can come from a flag, the environment or the config file. */
export interface Setting {
  /** Its place in the config file; a dot leads into an object. */
  readonly path: keyof RunConfig | `limits.${keyof RunConfig['limits']}`;
  readonly flag: string;
  readonly env: string;
  readonly kind: Kind;
  readonly help: string;
}

/** Every setting, in the order in which the help shows them. */
export const SETTINGS: readonly Setting[] = [
  setting(
    'model',
    '--model <name|folder>',
    'text',
    'model to run: a built-in name, or the folder of a model',
  ),
  setting(
    'cascade',
    '--cascade <file>',
    'text',
    'stages (JSON) instead of one model: detector, then classifier on its boxes; see docs/cascades.md',
  ),
  setting('policy', '--policy <file>', 'text', "rules on scores (JSON), instead of the model's own"),
  setting('include', '--include <glob...>', 'list', 'audit only keys that match, e.g. "**/*.jpg"'),
  setting('exclude', '--exclude <glob...>', 'list', 'leave out keys that match'),
  setting('formats', '--format <format...>', 'words', 'write audit.csv or audit.jsonl too (csv, jsonl)'),
  setting(
    'failOn',
    '--fail-on <verdict>',
    'text',
    'exit with code 4 on this verdict or a graver one (review, reject)',
  ),
  setting('processes', '--processes <n>', 'number', 'decoding processes (default: one per core)'),
  setting('imagesInFlight', '--images-in-flight <n>', 'number', 'images in hand per decoding process'),
  setting(
    'maxInFlightBytes',
    '--max-in-flight-bytes <size>',
    'bytes',
    'compressed bytes held per decoding process',
  ),
  setting(
    'maxDecodedBytes',
    '--max-decoded-bytes <size>',
    'bytes',
    'memory for decoded pictures per decoding process',
  ),
  setting('batchSize', '--batch-size <n>', 'number', 'images in one run of the model'),
  setting(
    'maxSecondsPerRun',
    '--max-seconds-per-run <s>',
    'number',
    'stop a model of your own that takes longer for 8 images',
  ),
  setting(
    'packSize',
    '--pack-size <n>',
    'number',
    'images in one pack (default: by the size of the job, at most 64)',
  ),
  setting('shardSize', '--shard-size <n>', 'number', 'images in one shard'),
  setting(
    'backlogPacks',
    '--backlog-packs <n>',
    'number',
    'packs that may wait for the model before decoding pauses',
  ),
  setting('limits.maxImageBytes', '--max-image-bytes <size>', 'bytes', 'refuse larger files'),
  setting('limits.maxPixels', '--max-pixels <n>', 'number', 'refuse larger images'),
  setting(
    'limits.maxBufferedPixels',
    '--max-buffered-pixels <n>',
    'number',
    'the same, for formats that decode whole',
  ),
  setting(
    'limits.maxFrames',
    '--max-frames <n>',
    'number',
    'refuse animations and documents with more frames',
  ),
  setting(
    'limits.maxSecondsPerImage',
    '--max-seconds-per-image <s>',
    'number',
    'refuse images that take longer',
  ),
];

/** The name under which commander keeps a flag's value: "--max-pixels <n>" → "maxPixels". */
export function optionName(setting: Setting): string {
  const name = (setting.flag.split(' ')[0] as string).slice(2);
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** A value from its text. What cannot be read stays text, for the schema to refuse with the rest. */
export function settingValue(setting: Setting, text: string | readonly string[]): unknown {
  // A glob may have commas in it; several words never do.
  if (setting.kind === 'words')
    return [text].flat().flatMap((words) => words.split(',').map((word) => word.trim()));
  if (setting.kind === 'list')
    return typeof text === 'string' ? text.split(',').map((item) => item.trim()) : text;
  if (typeof text !== 'string') return text;
  if (setting.kind === 'text') return text;
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB)?$/.exec(text.trim()) ?? [];
  if (digits === undefined || (unit !== '' && setting.kind === 'number')) return text;
  return (
    Number(digits) * { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[unit as '' | 'KiB' | 'MiB' | 'GiB']
  );
}

/** What was expected where a value could not be read, in words; `undefined` where the schema says it better. */
export function expectedText({ kind }: Setting, got: unknown): string | undefined {
  if (typeof got !== 'string') return undefined;
  if (kind === 'bytes') return 'expected a number of bytes, or of KiB, MiB or GiB ("64MiB")';
  return kind === 'number' ? 'expected a number in digits' : undefined;
}

function setting(path: Setting['path'], flag: string, kind: Kind, help: string): Setting {
  const name = (flag.split(' ')[0] as string).slice(2).replaceAll('-', '_').toUpperCase();
  return { path, flag, env: `SLUICE_${name}`, kind, help };
}
