import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { goldenPaths } from '#adapters/golden.ts';
import { type LoadedModel, loadModel, refuseBuiltInName } from '#adapters/model-folder.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { SluiceError } from '#core/error.ts';
import { type Derived, ModelManifest } from '#core/model-manifest.ts';

/** Where a derived model goes. */
export interface Destination {
  /** The folder that gets the model's folder. */
  readonly modelsFolder: string;
  readonly name: string;
  /** Replace a model of this name. */
  readonly force: boolean;
}

/** @throws SluiceError `config-invalid` where there is a model already. Asked first: what comes before writing takes minutes. */
export async function checkDestination({ modelsFolder, name, force }: Destination): Promise<void> {
  if (!ModelManifest.shape.name.safeParse(name).success)
    throw invalid(`--name expects lower-case letters, digits, ".", "_" or "-", got "${name}"`);
  refuseBuiltInName(name);
  const folder = join(modelsFolder, name);
  const isThere = (await stat(join(folder, 'model.json')).catch(() => undefined)) !== undefined;
  if (isThere && !force)
    throw invalid(`there is a model at "${folder}" already: pass another --name, or --force`);
}

/** Writes a model that was made of another one, with a manifest that says so. @returns its folder. */
export async function writeDerived(
  { manifest }: LoadedModel,
  { modelsFolder, name }: Destination,
  onnx: Uint8Array,
  derived: Omit<Derived, 'from'>,
): Promise<string> {
  const folder = join(modelsFolder, name);
  const written: ModelManifest = ModelManifest.parse({
    ...manifest,
    name,
    file: `${name}.onnx`,
    sha256: sha256Hex(onnx),
    derived: { ...derived, from: { name: manifest.name, sha256: manifest.sha256 } },
  });
  await mkdir(folder, { recursive: true });
  // Golden results of a model that was here before say nothing of this one.
  await rm(goldenPaths(folder).folder, { recursive: true, force: true });
  await writeFile(join(folder, written.file), onnx);
  await writeFile(join(folder, 'model.json'), `${JSON.stringify(written, null, 2)}\n`);
  // What was written is what will be read.
  await loadModel(join(folder, '.'));
  return folder;
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
