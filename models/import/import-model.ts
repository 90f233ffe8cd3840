import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { goldenPaths } from '#adapters/golden.ts';
import { loadModel, refuseBuiltInName } from '#adapters/model-folder.ts';
import { SluiceError } from '#core/error.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import type { Policy } from '#core/policy.ts';
import { buildManifest, checkScores } from './build-manifest.ts';
import { readModelFolder } from './hugging-face.ts';
import { type GraphFacts, imageInput, inspectGraph } from './inspect-graph.ts';
import { PRESETS } from './presets.ts';
import { readOnnx } from './read-onnx.ts';
import { type Ask, settleInput } from './settle-input.ts';
import { chooseByTrial, freedIfPossible, Trial } from './trial.ts';
import { ultralyticsWishes } from './ultralytics.ts';
import { mergeWishes, type Wishes } from './wishes.ts';

export interface ImportRequest {
  /** An .onnx file, or a folder with one and with what the Hugging Face hub keeps beside it. */
  readonly path: string;
  readonly wishes: Wishes;
  /** One of {@link PRESETS}. */
  readonly preset?: string | undefined;
  readonly policy?: Policy['rules'] | undefined;
  /** The folder that gets the model's folder. */
  readonly modelsFolder: string;
  /** Replace a model of this name. */
  readonly force: boolean;
  /** Seconds that one trial run may take. */
  readonly maxSecondsPerRun: number;
  readonly ask?: Ask | undefined;
}

export interface ImportedModel {
  readonly folder: string;
  readonly manifest: ModelManifest;
  /** What the graph was found to be. */
  readonly facts: GraphFacts;
  /** What was assumed, and what it costs. */
  readonly notes: readonly string[];
}

/**
 * Takes a model in: reads its graph, builds the preprocessing into it, frees its batch dimension, tries the result
 * on made-up pictures, and writes it with its manifest into `<modelsFolder>/<name>/`.
 *
 * @throws SluiceError `model-invalid` where the model is not usable, `config-invalid` where something is not told.
 */
export async function importModel(request: ImportRequest): Promise<ImportedModel> {
  const { path } = request;
  const isFolder = (
    await stat(path).catch(() => invalid(`there is no file or folder "${path}"`))
  ).isDirectory();
  const found = isFolder
    ? await readModelFolder(path, { kernel: request.wishes.kernel, preset: request.preset })
    : { modelPath: path, wishes: {} };
  const { model, bytes } = await readOnnx(found.modelPath);
  const facts = inspectGraph(model);
  const input = imageInput(facts);
  if (facts.opset < 7)
    invalid(
      `the model has opset ${facts.opset}: expected 7 or newer; convert it with onnx.version_converter`,
    );
  refuseScaling(input.dtype, request.wishes);
  const told = mergeWishes(
    request.wishes,
    request.preset === undefined ? {} : presetOf(request.preset),
    found.wishes,
    ultralyticsWishes(facts.metadata),
  );
  const settled = await settleInput(input, told, request.ask);
  const name = told.name === undefined ? nameOf(found.modelPath) : nameOf(told.name);
  refuseBuiltInName(name);
  const folder = join(request.modelsFolder, name);
  if (!request.force && (await stat(join(folder, 'model.json')).catch(() => undefined)) !== undefined)
    throw new SluiceError(
      'config-invalid',
      `there is a model at "${folder}" already: pass another --name, or --force`,
    );

  const scratch = await mkdtemp(join(tmpdir(), 'sluice-import-'));
  try {
    const trial = new Trial(model, settled, join(scratch, 'model.onnx'), request.maxSecondsPerRun);
    const chosen = await chooseByTrial(trial, facts, input.fixedBatch, settled);
    const freed = await freedIfPossible(trial, chosen, input.fixedBatch);
    const original = { path: found.modelPath, bytes };
    const manifest = buildManifest({ name, original, settled, chosen, freed, policy: request.policy ?? [] });
    checkScores(freed.alone, manifest);
    await writeModel(folder, manifest, freed.prepared.bytes);
    const notes = [...chosen.notes, ...(freed.note === undefined ? [] : [freed.note])];
    if (settled.wishes.license === undefined) notes.push('no licence is known; --license records it');
    return { folder, manifest, facts, notes };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A preset or a folder tells of the float model; what a person tells has to have an effect. */
function refuseScaling(dtype: string, wishes: Wishes): void {
  const [flag] = (['scale', 'mean', 'std'] as const).filter((name) => wishes[name] !== undefined);
  if (dtype === 'uint8' && flag !== undefined)
    throw new SluiceError(
      'config-invalid',
      `the model takes bytes (uint8) and scales them itself: leave --${flag} out`,
    );
}

async function writeModel(folder: string, manifest: ModelManifest, onnx: Uint8Array): Promise<void> {
  await mkdir(folder, { recursive: true });
  // Golden results of a model that was here before say nothing of this one.
  await rm(goldenPaths(folder).folder, { recursive: true, force: true });
  await writeFile(join(folder, manifest.file), onnx);
  await writeFile(join(folder, 'model.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  // What was written is what will be read.
  await loadModel(join(folder, '.'));
}

function presetOf(name: string): Wishes {
  const preset = PRESETS[name];
  if (preset !== undefined) return preset;
  throw new SluiceError(
    'config-invalid',
    `there is no preset "${name}": expected one of ${Object.keys(PRESETS).join(', ')}`,
  );
}

/** A name as manifests take it, from a file or folder name or from what a person wrote. */
function nameOf(path: string): string {
  const name = basename(path)
    .replace(/\.onnx$/i, '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '');
  return name === '' ? 'model' : name;
}

function invalid(message: string, cause?: unknown): never {
  throw new SluiceError('model-invalid', message, { cause });
}
