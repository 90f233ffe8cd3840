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
    scale: numberOf('--scale', text('scale')),
    mean: tripleOf('--mean', text('mean')),
    std: tripleOf('--std', text('std')),
    labels: await labelsOf(text('labels')),
    decode: text('outputDecode') as Wishes['decode'],
    output: text('output'),
    topK: numberOf('--top-k', text('topK')),
    boxFormat: text('boxFormat') as Wishes['boxFormat'],
    boxUnit: text('boxUnit') as Wishes['boxUnit'],
    minScore: numberOf('--min-score', text('minScore')),
    maxOverlap: numberOf('--max-overlap', text('maxOverlap')),
    maxDetections: numberOf('--max-detections', text('maxDetections')),
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

/** A number, or a fraction such as 1/255. */
export function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [numerator, denominator = '1', ...more] = text.split('/').map((part) => part.trim());
  const value = Number(numerator) / Number(denominator);
  if (Number.isFinite(value) && numerator !== '' && more.length === 0) return value;
  throw invalid(`${flag} expects a number, got "${text}"`);
}

function tripleOf(flag: string, text: string | undefined): [number, number, number] | undefined {
  if (text === undefined) return undefined;
  const numbers = text.split(',').map((part) => numberOf(flag, part) as number);
  const [a, b = a, c = a] = numbers;
  if (numbers.length === 1 || numbers.length === 3) return [a, b, c] as [number, number, number];
  throw invalid(`${flag} expects one number or three, got "${text}"`);
}

function sizeOf(text: string | undefined): [number | undefined, number | undefined] {
  if (text === undefined) return [undefined, undefined];
  const [, width, height = width] = /^(\d+)(?:x(\d+))?$/.exec(text) ?? [];
  if (width !== undefined) return [Number(width), Number(height)];
  throw invalid(`--input-size expects 224 or 320x240 (width x height), got "${text}"`);
}

function resizeOf(text: string | undefined): ResizeWish | undefined {
  if (text === undefined) return undefined;
  const [, mode, number] = /^(squash|center-crop|letterbox|letterbox-start)(?::(\d+))?$/.exec(text) ?? [];
  if (mode === 'squash' && number === undefined) return { mode };
  if (mode === 'center-crop')
    return { mode, ...(number === undefined ? { cropFraction: 0.875 } : { shorterSidePx: Number(number) }) };
  if (mode === 'letterbox' || mode === 'letterbox-start')
    return {
      mode: 'letterbox',
      pad: Number(number ?? 114),
      align: mode === 'letterbox' ? 'center' : 'start',
    };
  throw invalid(
    `--resize expects squash, center-crop[:px], letterbox[:gray] or letterbox-start[:gray], got "${text}"`,
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
