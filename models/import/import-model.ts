import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { loadModel } from '#adapters/model-folder.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { readOutputs } from '#core/decode/read-outputs.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { ModelManifest, scoreNames } from '#core/model-manifest.ts';
import { measuresOf, type Policy } from '#core/policy.ts';
import type { ModelProto } from '#models/onnx/generated/onnx_pb.js';
import { type ChosenOutputs, chooseOutputs } from './choose-outputs.ts';
import { readModelFolder } from './hugging-face.ts';
import { describeValue, type GraphFacts, imageInput, inspectGraph } from './inspect-graph.ts';
import { type PreparedGraph, type PrepareOptions, prepareGraph } from './prepare-graph.ts';
import { PRESETS } from './presets.ts';
import { readOnnx } from './read-onnx.ts';
import { type Ask, type SettledInput, settleInput } from './settle-input.ts';
import { type Outputs, runTrials, type TrialOptions, tryBatch } from './try-model.ts';
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

/** What a rule can speak of beside scores: see Measures in core/policy.ts. */
const MEASURES = [
  'width',
  'height',
  'bytes',
  'aspect_ratio',
  'odd_size',
  'exact_duplicate',
  'near_duplicate',
];

/** The length of a fixed batch dimension, and whether it is to become dynamic. */
type Batch = Pick<PrepareOptions, 'batchToFree' | 'fixedBatch'>;

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
  const found = isFolder ? await readModelFolder(path, request.wishes) : { modelPath: path, wishes: {} };
  const { model, bytes } = await readOnnx(found.modelPath);
  const facts = inspectGraph(model);
  const input = imageInput(facts);
  if (facts.opset < 7)
    invalid(
      `the model has opset ${facts.opset}: expected 7 or newer; convert it with onnx.version_converter`,
    );
  const told = mergeWishes(
    request.wishes,
    request.preset === undefined ? {} : presetOf(request.preset),
    found.wishes,
    ultralyticsWishes(facts.metadata),
  );
  const settled = await settleInput(input, told, request.ask);
  const name = told.name === undefined ? nameOf(found.modelPath) : nameOf(told.name);
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
    const { prepared, batch, note, alone } = await freedIfPossible(trial, chosen, input.fixedBatch);
    const manifest = manifestOf({
      name,
      bytes,
      settled,
      chosen,
      prepared,
      batch,
      found: found.modelPath,
      request,
    });
    checkScores(alone, manifest);
    await writeModel(folder, manifest, prepared.bytes);
    const notes = [...chosen.notes, ...(note === undefined ? [] : [note])];
    if (settled.wishes.license === undefined) notes.push('no licence is known; --license records it');
    return { folder, manifest, facts, notes };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Builds prepared graphs and puts them where an engine can read them. */
class Trial {
  readonly #model: ModelProto;
  readonly #settled: SettledInput;
  readonly #path: string;
  readonly #maxSecondsPerRun: number;

  constructor(model: ModelProto, settled: SettledInput, path: string, maxSecondsPerRun: number) {
    this.#model = model;
    this.#settled = settled;
    this.#path = path;
    this.#maxSecondsPerRun = maxSecondsPerRun;
  }

  prepare(outputs: readonly string[], batch: Batch): PreparedGraph {
    const { tensor, preprocess } = this.#settled;
    const { widthPx, heightPx } = preprocess;
    return prepareGraph(this.#model, { tensor, widthPx, heightPx, outputs, ...batch });
  }

  async options(prepared: PreparedGraph): Promise<TrialOptions> {
    await writeFile(this.#path, prepared.bytes);
    const { widthPx, heightPx } = this.#settled.preprocess;
    return {
      modelPath: this.#path,
      input: prepared.input,
      widthPx,
      heightPx,
      maxSecondsPerRun: this.#maxSecondsPerRun,
    };
  }
}

const NUMERIC = new Set(['float', 'float16', 'double', 'int32', 'int64', 'uint8', 'bool']);

/** Runs the model as it is, to learn the shapes of its outputs, and chooses among them. */
async function chooseByTrial(
  trial: Trial,
  facts: GraphFacts,
  fixedBatch: number | undefined,
  { wishes, preprocess }: SettledInput,
): Promise<ChosenOutputs> {
  const outputs = facts.outputs.filter(({ dtype }) => NUMERIC.has(dtype));
  if (outputs.length === 0)
    invalid(`expected an output of numbers, got ${facts.outputs.map(describeValue).join(', ') || 'none'}`);
  const prepared = trial.prepare(
    outputs.map(({ name }) => name),
    { batchToFree: undefined, fixedBatch },
  );
  const images = fixedBatch ?? 1;
  const [run] = await runTrials(await trial.options(prepared), [Array.from({ length: images }, (_, i) => i)]);
  const tried = prepared.outputs.map((name, i) => {
    const { activation, name: original } = outputs[i]!;
    const shape = run?.[name]?.shape ?? [];
    return { name: original, activation, shape: shape[0] === images ? shape.slice(1) : undefined };
  });
  const batched = tried.flatMap(({ shape, ...output }) =>
    shape === undefined ? [] : [{ ...output, shape }],
  );
  if (batched.length === 0) {
    const got = prepared.outputs.map((name) => `"${name}" [${run?.[name]?.shape ?? ''}]`).join(', ');
    invalid(
      `expected outputs whose first dimension is the batch, got ${got}: export the model so that it keeps each image's results apart`,
    );
  }
  return chooseOutputs(batched, wishes, preprocess);
}

interface FreedModel {
  readonly prepared: PreparedGraph;
  readonly batch: Batch;
  readonly note: string | undefined;
  /** What it gave for made-up pictures, each by itself. */
  readonly alone: readonly Outputs[];
}

/** The prepared model for any batch, where that gives the same results; else for one image at a time. */
async function freedIfPossible(
  trial: Trial,
  chosen: ChosenOutputs,
  fixedBatch: number | undefined,
): Promise<FreedModel> {
  const outputs = chosen.outputs.map(({ name }) => name);
  const free: Batch = { batchToFree: fixedBatch, fixedBatch: undefined };
  const prepared = trial.prepare(outputs, free);
  const tried = await tryBatch(await trial.options(prepared));
  if ('alone' in tried) return { prepared, batch: free, note: undefined, alone: tried.alone };
  const { trouble } = tried;
  if (fixedBatch !== undefined && fixedBatch !== 1) {
    invalid(
      `the model takes batches of ${fixedBatch} only, and could not be made to take others (${trouble}): export it with a dynamic batch`,
    );
  }
  const single: Batch = { batchToFree: undefined, fixedBatch: 1 };
  const one = trial.prepare(outputs, single);
  return {
    prepared: one,
    batch: single,
    alone: await runTrials(await trial.options(one), [[0], [1]]),
    note: `the batch dimension could not be freed (${trouble}): images run one by one, which on a GPU costs most of its throughput; export the model with a dynamic batch`,
  };
}

function manifestOf(parts: {
  name: string;
  bytes: Uint8Array;
  settled: SettledInput;
  chosen: ChosenOutputs;
  prepared: PreparedGraph;
  batch: Batch;
  found: string;
  request: ImportRequest;
}): ModelManifest {
  const { name, settled, chosen, prepared, batch, request } = parts;
  const { wishes, tensor, preprocess } = settled;
  // Outputs that had to be cast have other names now.
  const renamed = new Map(chosen.outputs.map(({ name: old }, i) => [old, prepared.outputs[i] as string]));
  const rename = (old: string): string => renamed.get(old) ?? old;
  const { detector } = chosen;
  const manifest = {
    schema: 1,
    name,
    description: wishes.description ?? '',
    license: wishes.license ?? 'unknown',
    source: wishes.source ?? basename(parts.found),
    file: `${name}.onnx`,
    sha256: sha256Hex(prepared.bytes),
    preprocess,
    inputs: [{ name: prepared.input, from: 'pixels' }],
    outputs: chosen.outputs.map((output) => ({ ...output, name: rename(output.name) })),
    ...(detector && { detector: { ...detector, head: renamedHead(detector.head, rename) } }),
    ...(batch.fixedBatch !== undefined && { maxBatch: batch.fixedBatch }),
    prepared: { originalSha256: sha256Hex(parts.bytes), ...tensor },
    policy: { rules: request.policy ?? [] },
  };
  return withKnownMeasures(ModelManifest.parse(manifest));
}

/** A rule on a score that does not exist would never flag, and nobody would know. */
function withKnownMeasures(manifest: ModelManifest): ModelManifest {
  const known = [...scoreNames(manifest), ...MEASURES];
  const unknown = measuresOf(manifest.policy).filter((measure) => !known.includes(measure));
  if (unknown.length === 0) return manifest;
  throw new SluiceError(
    'config-invalid',
    `there is no score "${unknown.join('", "')}" to make a rule on: the model gives ${known.slice(0, 20).join(', ')}`,
  );
}

function renamedHead(head: object, rename: (name: string) => string): object {
  const outputs = new Set(['output', 'scores', 'boxes', 'classes', 'count']);
  return Object.fromEntries(
    Object.entries(head).map(([key, value]) => [
      key,
      outputs.has(key) && typeof value === 'string' ? rename(value) : value,
    ]),
  );
}

/** What cannot be read on ordinary pixels will not be readable on any others. */
function checkScores(runs: readonly Outputs[], manifest: ModelManifest): void {
  for (const outputs of runs) {
    try {
      readOutputs(outputs, manifest, [manifest.preprocess]);
    } catch (cause) {
      invalid(`on ordinary pixels ${messageOf(cause)}`, cause);
    }
  }
}

async function writeModel(folder: string, manifest: ModelManifest, onnx: Uint8Array): Promise<void> {
  await mkdir(folder, { recursive: true });
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
