import { relative, resolve } from 'node:path';
import { scoreNames } from '#core/model-manifest.ts';
import { type ImportedModel, importModel } from '#models/import/import-model.ts';
import { describeValue } from '#models/import/inspect-graph.ts';
import { EXIT } from '../exit-codes.ts';
import { terminalAsk } from './ask.ts';
import { numberOf, POSITIVE, rulesOfFlags, wishesOfFlags } from './import-flags.ts';

/** `sluice models import`. @returns the exit code. */
export async function importCommand(path: string, flags: Readonly<Record<string, unknown>>): Promise<number> {
  const imported = await importModel({
    path: resolve(path),
    wishes: await wishesOfFlags(flags),
    preset: flags['preset'] as string | undefined,
    policy: rulesOfFlags(flags),
    modelsFolder: resolve(flags['out'] as string),
    force: flags['force'] === true,
    maxSecondsPerRun: numberOf('--max-seconds-per-run', flags['maxSecondsPerRun'] as string, POSITIVE) ?? 60,
    ask: terminalAsk(process.env),
  });
  process.stdout.write(description(imported));
  return EXIT.ok;
}

function description({ folder, manifest, facts, notes }: ImportedModel): string {
  const { preprocess: spec, prepared, policy } = manifest;
  const below = relative(process.cwd(), folder);
  const shown = below.startsWith('..') ? folder : `./${below}`;
  const names = scoreNames(manifest);
  const list = names.length > 12 ? `${names.slice(0, 12).join(', ')} … (${names.length})` : names.join(', ');
  const row = (name: string, value: string): string => `  ${name.padEnd(12)} ${value}\n`;
  return [
    `${manifest.name} is in ${shown}\n`,
    row('graph', `opset ${facts.opset}${facts.producer === '' ? '' : `, by ${facts.producer}`}`),
    row('input', facts.inputs.map(describeValue).join(', ')),
    row('outputs', facts.outputs.map(describeValue).join(', ')),
    row('pictures', `${spec.widthPx} × ${spec.heightPx} px, ${JSON.stringify(spec.resize)}, ${spec.kernel}`),
    prepared === undefined
      ? ''
      : row(
          'pixels',
          `${prepared.channelOrder}, ${prepared.layout}, ${prepared.dtype}: (level × ${short(prepared.scale)} − [${prepared.mean.map(short)}]) / [${prepared.std.map(short)}]`,
        ),
    row('batch', manifest.maxBatch === undefined ? 'any' : `${manifest.maxBatch}`),
    row('scores', list),
    row(
      'policy',
      policy.rules.length === 0
        ? 'no rules: every image passes until --policy, --review or --reject states some'
        : `${policy.rules.length} rules`,
    ),
    ...notes.map((note) => `  note: ${note}\n`),
    `\nCheck it against training, then run it:\n  sluice models verify ${shown} --images <photos> --tensor <saved.npy>\n  sluice run <photos> --out audit --model ${shown}\n`,
  ].join('');
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}
