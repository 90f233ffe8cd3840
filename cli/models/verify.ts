import { resolve } from 'node:path';
import { loadModel } from '#adapters/model-folder.ts';
import { DEFAULT_TOLERANCES } from '#models/verify/tolerances.ts';
import { type VerifyReport, verifyModel } from '#models/verify/verify-model.ts';
import { EXIT } from '../exit-codes.ts';
import { AT_LEAST_0, type NumberRange, numberOf, SHARE } from './import-flags.ts';

/** `sluice models verify`. @returns the exit code: 1 where anything is beyond the tolerances. */
export async function verifyCommand(
  nameOrFolder: string,
  flags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const text = (name: string): string | undefined => flags[name] as string | undefined;
  const path = (name: string): string | undefined => {
    const given = text(name);
    return given === undefined ? undefined : resolve(given);
  };
  const tolerance = (flag: string, name: keyof typeof DEFAULT_TOLERANCES, range: NumberRange): number =>
    numberOf(flag, text(name), range) ?? DEFAULT_TOLERANCES[name];
  const report = await verifyModel({
    model: await loadModel(nameOrFolder),
    images: ((flags['images'] as string[] | undefined) ?? []).map((image) => resolve(image)),
    tensor: path('tensor'),
    expected: path('expected'),
    original: path('original'),
    tolerances: {
      maxPixelMean: tolerance('--max-pixel-mean', 'maxPixelMean', AT_LEAST_0),
      maxPixelP99: tolerance('--max-pixel-p99', 'maxPixelP99', AT_LEAST_0),
      maxScoreDifference: tolerance('--max-score-difference', 'maxScoreDifference', AT_LEAST_0),
      minBoxOverlap: tolerance('--min-box-overlap', 'minBoxOverlap', SHARE),
      minTop1: tolerance('--min-top1', 'minTop1', SHARE),
    },
    store: flags['store'] !== false,
  });
  if (flags['json'] === true) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(description(report));
  for (const failure of report.failures) process.stderr.write(`sluice: ${failure}\n`);
  return report.failures.length === 0 ? EXIT.ok : EXIT.error;
}

function description(report: VerifyReport): string {
  const { images, pixels, scores, preprocessingChecked, failures, stored } = report;
  const row = (name: string, value: string): string => `  ${name.padEnd(10)} ${value}\n`;
  return [
    `${images} reference images\n`,
    pixels === undefined
      ? ''
      : row(
          'pixels',
          `differ by ${pixels.mean.toFixed(3)} levels in the mean, ${pixels.p99.toFixed(2)} at the 99th percentile, ${pixels.max.toFixed(1)} at most (worst: ${pixels.worst})`,
        ),
    ...scores.map(({ against, max, top1, objects }) =>
      row(
        'scores',
        [
          `differ from ${against} by ${max.toPrecision(3)} at most`,
          ...(top1 === undefined ? [] : [`best label agrees for ${(100 * top1).toFixed(1)} %`]),
          ...(objects === undefined
            ? []
            : [
                `${objects.objects - objects.unmatched} of ${objects.objects} objects are the same, their boxes overlap by ${objects.minOverlap.toFixed(3)} at least`,
              ]),
        ].join('; '),
      ),
    ),
    preprocessingChecked
      ? ''
      : row(
          'pixels',
          'NOT checked: the original model sees what is seen here, right or wrong. --tensor or --expected checks preprocessing; no golden results are stored without',
        ),
    stored === undefined ? '' : row('stored', `golden results in ${stored}`),
    failures.length > 0
      ? 'NOT within the tolerances\n'
      : preprocessingChecked
        ? 'within the tolerances\n'
        : 'scores within the tolerances; preprocessing was not checked\n',
  ].join('');
}
