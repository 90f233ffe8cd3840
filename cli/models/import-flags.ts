import { readFile, stat } from 'node:fs/promises';
import { messageOf, SluiceError } from '#core/error.ts';
import { Policy } from '#core/policy.ts';
import { parseLabels } from '#models/import/labels.ts';
import type { ResizeWish, Wishes } from '#models/import/wishes.ts';

type Flags = Readonly<Record<string, unknown>>;

/** The wishes that flags state. @throws SluiceError `config-invalid` naming the flag. */
export async function wishesOfFlags(flags: Flags): Promise<Wishes> {
  const text = (name: string): string | undefined => flags[name] as string | undefined;
  const [widthPx, heightPx] = sizeOf(text('inputSize'));
  return {
    name: text('name'),
    license: text('license'),
    source: text('source'),
    description: text('description'),
    widthPx,
    heightPx,
    resize: resizeOf(text('resize')),
    kernel: text('kernel') as Wishes['kernel'],
    fidelity: text('fidelity') as Wishes['fidelity'],
    layout: text('layout') as Wishes['layout'],
    channelOrder: text('channelOrder') as Wishes['channelOrder'],
    scale: numberOf('--scale', text('scale'), POSITIVE),
    mean: tripleOf('--mean', text('mean')),
    std: tripleOf('--std', text('std'), POSITIVE),
    labels: await labelsOf(text('labels')),
    decode: text('outputDecode') as Wishes['decode'],
    output: text('output'),
    topK: numberOf('--top-k', text('topK'), { isWhole: true, from: 1 }),
    boxFormat: text('boxFormat') as Wishes['boxFormat'],
    boxUnit: text('boxUnit') as Wishes['boxUnit'],
    minScore: numberOf('--min-score', text('minScore'), { above: 0, to: 1 }),
    maxOverlap: numberOf('--max-overlap', text('maxOverlap'), { above: 0, to: 1 }),
    maxDetections: numberOf('--max-detections', text('maxDetections'), { isWhole: true, from: 1, to: 1000 }),
  };
}

/** Rules from "porn above 0.5": the check is called like the score. */
export function rulesOfFlags(flags: Flags): Policy['rules'] {
  return (['reject', 'review'] as const).flatMap((verdict) =>
    ((flags[verdict] as string[] | undefined) ?? []).map((rule) => {
      const [, measure, side, bound] = /^(\S+)\s+(above|below)\s+(-?[\d.]+)$/.exec(rule.trim()) ?? [];
      if (measure === undefined)
        throw invalid(`--${verdict} expects a rule such as "porn above 0.5", got "${rule}"`);
      const when = { measure, [side as string]: Number(bound) };
      const parsed = Policy.shape.rules.element.safeParse({ check: measure, when, verdict });
      if (!parsed.success) throw invalid(`--${verdict} "${rule}": ${parsed.error.issues[0]?.message}`);
      return parsed.data;
    }),
  );
}

/** What a number has to be. */
export interface NumberRange {
  readonly isWhole?: true;
  /** Greater than this. */
  readonly above?: number;
  /** At least this. */
  readonly from?: number;
  /** At most this. */
  readonly to?: number;
}

export const SHARE: NumberRange = { from: 0, to: 1 };
export const POSITIVE: NumberRange = { above: 0 };
export const AT_LEAST_0: NumberRange = { from: 0 };
/** Sides of pictures: see PreprocessSpec. */
const SIDE_PX: NumberRange = { isWhole: true, from: 1, to: 4096 };
const LEVEL: NumberRange = { isWhole: true, from: 0, to: 255 };

/** A number, or a fraction such as 1/255. @throws SluiceError `config-invalid` naming the flag and the range. */
export function numberOf(
  flag: string,
  text: string | undefined,
  range: NumberRange = {},
): number | undefined {
  if (text === undefined) return undefined;
  const [numerator, denominator = '1', ...more] = text.split('/').map((part) => part.trim());
  const value = Number(numerator) / Number(denominator);
  const isNumber = Number.isFinite(value) && numerator !== '' && more.length === 0;
  if (isNumber && isWithin(value, range)) return value;
  throw invalid(`${flag} expects ${describedRange(range)}, got "${text}"`);
}

function isWithin(value: number, { isWhole, above, from, to }: NumberRange): boolean {
  return (
    (isWhole !== true || Number.isInteger(value)) &&
    (above === undefined || value > above) &&
    (from === undefined || value >= from) &&
    (to === undefined || value <= to)
  );
}

function describedRange({ isWhole, above, from, to }: NumberRange): string {
  const bounds = [
    ...(above === undefined ? [] : [`above ${above}`]),
    ...(from === undefined ? [] : [`from ${from}${to === undefined ? ' on' : ''}`]),
    ...(to === undefined ? [] : [`${from === undefined ? 'and up ' : ''}to ${to}`]),
  ];
  return ['a', ...(isWhole ? ['whole'] : []), 'number', ...bounds].join(' ');
}

function tripleOf(
  flag: string,
  text: string | undefined,
  range: NumberRange = {},
): [number, number, number] | undefined {
  if (text === undefined) return undefined;
  const numbers = text.split(',').map((part) => numberOf(flag, part, range) as number);
  const [a, b = a, c = a] = numbers;
  if (numbers.length === 1 || numbers.length === 3) return [a, b, c] as [number, number, number];
  throw invalid(`${flag} expects one number or three, got "${text}"`);
}

function sizeOf(text: string | undefined): [number | undefined, number | undefined] {
  if (text === undefined) return [undefined, undefined];
  const [, width, height = width] = /^(\d+)(?:x(\d+))?$/.exec(text) ?? [];
  if (width === undefined)
    throw invalid(`--input-size expects 224 or 320x240 (width x height), got "${text}"`);
  return [numberOf('--input-size', width, SIDE_PX), numberOf('--input-size', height, SIDE_PX)];
}

function resizeOf(text: string | undefined): ResizeWish | undefined {
  if (text === undefined) return undefined;
  const [, mode = '', first, second] =
    /^(squash|squash-crop|center-crop|letterbox|letterbox-start)(?::(\d+)(?:x(\d+))?)?$/.exec(text) ?? [];
  const flag = `--resize ${mode}`;
  const px = numberOf(flag, first, mode.startsWith('letterbox') ? LEVEL : SIDE_PX);
  if (mode === 'squash' && px === undefined) return { mode };
  if (mode === 'squash-crop' && px !== undefined)
    return { mode, scaledWidthPx: px, scaledHeightPx: numberOf(flag, second, SIDE_PX) ?? px };
  if (mode === 'center-crop' && second === undefined)
    return { mode, ...(px === undefined ? { cropFraction: 0.875 } : { shorterSidePx: px }) };
  if (mode.startsWith('letterbox') && second === undefined)
    return { mode: 'letterbox', pad: px ?? 114, align: mode === 'letterbox' ? 'center' : 'start' };
  throw invalid(
    `--resize expects squash, squash-crop:px (or WxH), center-crop[:px], letterbox[:gray] or letterbox-start[:gray], got "${text}"`,
  );
}

async function labelsOf(text: string | undefined): Promise<string[] | undefined> {
  if (text === undefined) return undefined;
  const isFile = (await stat(text).catch(() => undefined))?.isFile() === true;
  if (isFile) return parseLabels(await readFile(text, 'utf8'), text);
  if (/[./\\]/.test(text) && !text.includes(',')) throw invalid(`--labels: there is no file "${text}"`);
  try {
    return parseLabels(text.split(',').join('\n'), '--labels');
  } catch (error) {
    throw invalid(messageOf(error));
  }
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
