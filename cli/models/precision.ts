import { dirname, resolve } from 'node:path';
import { loadModel } from '#adapters/model-folder.ts';
import { SluiceError } from '#core/error.ts';
import { calibratorOf } from '#models/precision/calibration/calibrators.ts';
import { TARGETS, type Target } from '#models/precision/calibration/quantization.ts';
import { type DeriveReport, type DeriveRequest, deriveModel } from '#models/precision/derive/derive-model.ts';
import { LEAST_IMAGES } from '#models/precision/derive/sample-images.ts';
import { EXIT } from '../exit-codes.ts';
import { numberOf, SHARE } from './import-flags.ts';
import { DEFAULT_MIN_TOP1, type PrecisionFlags, type QuantizeFlags } from './precision-flags.ts';
import { precisionReport } from './precision-report.ts';

/** `sluice models quantize`. @returns the exit code: 1 where too few images keep their best label. */
export async function quantizeCommand(nameOrFolder: string, flags: QuantizeFlags): Promise<number> {
  return derive(
    nameOrFolder,
    { ...flags, images: flags.calibration },
    {
      kind: 'int8',
      target: targetOf(flags.for),
      calibrator: calibratorOf(flags.calibrator, numberOf('--percentile', flags.percentile)),
      floatLayers: floatLayersOf(flags.floatLayers),
    },
  );
}

/** `sluice models to-fp16`. @returns the same. */
export async function toFp16Command(nameOrFolder: string, flags: PrecisionFlags): Promise<number> {
  return derive(nameOrFolder, flags, { kind: 'fp16' });
}

async function derive(
  nameOrFolder: string,
  flags: PrecisionFlags,
  precision: DeriveRequest['precision'],
): Promise<number> {
  const model = await loadModel(nameOrFolder);
  const report = await deriveModel({
    model,
    imagesFolder: resolve(flags.images),
    maxImages: numberOf('--max-images', flags.maxImages, { isWhole: true, from: LEAST_IMAGES }) as number,
    minTop1: numberOf('--min-top1', flags.minTop1, SHARE) ?? DEFAULT_MIN_TOP1[precision.kind],
    force: flags.force === true,
    destination: {
      modelsFolder: flags.out === undefined ? dirname(dirname(model.modelPath)) : resolve(flags.out),
      name: flags.name ?? `${model.manifest.name}-${precision.kind}`,
    },
    precision,
    onProgress: (message) => void process.stderr.write(`${message}\n`),
  });
  process.stdout.write(flags.json === true ? `${JSON.stringify(report)}\n` : precisionReport(report));
  const failure = failureOf(report);
  if (failure !== undefined) process.stderr.write(`sluice: ${failure}\n`);
  return failure === undefined || report.written !== undefined ? EXIT.ok : EXIT.error;
}

function failureOf({ agreement, minTop1, written }: DeriveReport): string | undefined {
  if (agreement.top1 >= minTop1) return undefined;
  const what = `only ${(100 * agreement.top1).toFixed(1)} % of the images keep their best label (at least ${100 * minTop1} %)`;
  return written === undefined
    ? `${what}: nothing was written; try --calibrator, more calibration images or --float-layers, or accept it with --min-top1 or --force`
    : `${what}: written all the same, as --force says`;
}

function targetOf(text: string): Target {
  const target = TARGETS.find((one) => one === text);
  if (target !== undefined) return target;
  throw invalid(`--for expects ${TARGETS.join(' or ')}, got "${text}"`);
}

/** Names, or one of the words `auto` and `none`. */
function floatLayersOf(words: readonly string[]): readonly string[] | 'auto' {
  const [first] = words;
  if (words.length === 1 && first === 'auto') return 'auto';
  return words.length === 1 && first === 'none' ? [] : words;
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
