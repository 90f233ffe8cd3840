import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { sha256Hex } from '#core/canonical-json.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { ModelManifest } from '#core/model-manifest.ts';
import { Policy } from '#core/policy.ts';
import { PROJECT_FOLDER } from './runtime.ts';

/** In a checkout this folder may hold others too. */
const BUILT_IN_MODELS = fileURLToPath(new URL('models/', PROJECT_FOLDER));

/** The models that come with Sluice: a name means one of these before any other model. */
const BUILT_IN_NAMES: readonly string[] = ['quality'];

/** @throws SluiceError `config-invalid` for the name of a built-in model, under which no other one would ever be found. */
export function refuseBuiltInName(name: string): void {
  if (BUILT_IN_NAMES.includes(name))
    throw new SluiceError('config-invalid', `"${name}" is the name of a built-in model: pass another --name`);
}

/** A model that is ready to be loaded by an engine. */
export interface LoadedModel {
  readonly manifest: ModelManifest;
  readonly modelPath: string;
  /** Whether it comes with Sluice, so that it is known what it does. */
  readonly isBuiltIn: boolean;
}

/**
 * A built-in model by name, or one that was imported into `./models`, or any model by its folder (anything with a
 * "/" in it).
 *
 * @throws SluiceError `model-invalid` where the manifest is wrong or the file is not the one it names.
 */
export async function loadModel(nameOrFolder: string): Promise<LoadedModel> {
  const folder = modelFolder(nameOrFolder);
  const manifest = await loadManifest(nameOrFolder);
  const modelPath = join(folder, manifest.file);
  const sha256 = sha256Hex(
    await readFile(modelPath).catch((cause) => invalid(`"${manifest.file}" cannot be read`, cause)),
  );
  if (sha256 !== manifest.sha256) {
    invalid(
      `"${manifest.file}" has sha256 ${sha256}, its manifest says ${manifest.sha256}: one of the two was changed`,
    );
  }
  const isBuiltIn = BUILT_IN_NAMES.some((name) => folder === join(BUILT_IN_MODELS, name));
  return { manifest, modelPath, isBuiltIn };
}

/** A model's manifest alone: all that the stages need that do not run it. */
export async function loadManifest(nameOrFolder: string): Promise<ModelManifest> {
  const folder = modelFolder(nameOrFolder);
  return readJson(join(folder, 'model.json'), ModelManifest, `model "${nameOrFolder}"`);
}

/** A policy from a JSON file. */
export async function loadPolicy(path: string): Promise<Policy> {
  return readJson(path, Policy, `policy "${path}"`, 'config-invalid');
}

/** Where a model lies that is named so. */
export function modelFolder(nameOrFolder: string): string {
  const isFolder = /[/\\]/.test(nameOrFolder) || nameOrFolder.startsWith('.');
  if (isFolder) return resolve(nameOrFolder);
  return BUILT_IN_NAMES.includes(nameOrFolder)
    ? join(BUILT_IN_MODELS, nameOrFolder)
    : resolve('models', nameOrFolder);
}

async function readJson<T>(
  path: string,
  schema: z.ZodType<T>,
  what: string,
  code: 'model-invalid' | 'config-invalid' = 'model-invalid',
): Promise<T> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new SluiceError(code, `${what} cannot be read: ${messageOf(cause)}`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new SluiceError(code, `${what} is not as expected:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function invalid(what: string, cause?: unknown): never {
  throw new SluiceError('model-invalid', what, { cause });
}
