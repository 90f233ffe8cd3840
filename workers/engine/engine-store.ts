import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '#core/canonical-json.ts';
import { type BuiltEngine, EngineManifest, type EngineRecipe, engineFolder } from '#core/engine-artifact.ts';
import { BuildAttempt } from '#core/engine-build.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

const MANIFEST = 'engine.json';
const ATTEMPTS = 'building-';

/** An attempt and its number. */
export interface NumberedAttempt {
  readonly number: number;
  readonly attempt: BuildAttempt;
}

/**
 * The engines of a fleet, in its work store. An engine is code that a GPU runs for whoever loads it: only what may build
 * engines should be allowed to write under `engines/`.
 */
export class EngineStore {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /**
   * The engine of a recipe, checked against its hashes; `undefined` where nobody has built it.
   *
   * @param localFolder where files of it may lie already, which are not fetched again then.
   */
  async find(recipe: EngineRecipe, localFolder?: string): Promise<BuiltEngine | undefined> {
    const folder = engineFolder(recipe);
    const manifest = await this.#manifest(folder);
    if (manifest === undefined) return undefined;
    const [engine, wrapper] = await Promise.all(
      [manifest.engine, manifest.wrapper].map(async ({ file, sha256 }) => {
        const local = localFolder && (await readFile(join(localFolder, file)).catch(() => undefined));
        if (local && sha256Hex(local) === sha256) return local;
        const { body } = await this.#store.get(`${folder}${file}`);
        if (sha256Hex(body) === sha256) return body;
        throw new SluiceError(
          'model-invalid',
          `"${folder}${file}" is not the file that was built: expected sha256 ${sha256}; delete "${folder}" to build it anew`,
        );
      }),
    );
    return { manifest, engine: engine as Buffer, wrapper: wrapper as Buffer };
  }

  async isBuilt(recipe: EngineRecipe): Promise<boolean> {
    return (await this.#store.head(`${engineFolder(recipe)}${MANIFEST}`)) !== undefined;
  }

  /**
   * The manifest is written last: who sees it sees the rest. Two builders may publish at the same time: files are named by their
   * content, so that each manifest finds its own.
   */
  async publish({ manifest, engine, wrapper }: BuiltEngine): Promise<void> {
    const folder = engineFolder(manifest.recipe);
    // In parts: engines of large models pass what services take in one request.
    const writer = await this.#store.createWriter(`${folder}${manifest.engine.file}`);
    await writer.write(engine);
    await writer.commit();
    await this.#store.put(`${folder}${manifest.wrapper.file}`, wrapper);
    await this.#store.put(`${folder}${MANIFEST}`, Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
    await this.#store.delete(await this.#attemptKeys(manifest.recipe));
  }

  /** The attempt with the highest number; `undefined` where nobody has tried. */
  async lastAttempt(recipe: EngineRecipe): Promise<NumberedAttempt | undefined> {
    const key = (await this.#attemptKeys(recipe)).at(-1);
    if (key === undefined) return undefined;
    try {
      const { body } = await this.#store.get(key);
      const attempt = BuildAttempt.parse(JSON.parse(body.toString()));
      return { number: Number(/(\d+)\.json$/.exec(key)?.[1]), attempt };
    } catch (error) {
      // Whoever built it has published it meanwhile.
      if (error instanceof SluiceError && error.code === 'object-missing') return undefined;
      throw error;
    }
  }

  /** Takes the right to build, which one worker has at a time. @returns whether it is ours now. */
  async begin(recipe: EngineRecipe, { number, attempt }: NumberedAttempt): Promise<boolean> {
    const body = Buffer.from(JSON.stringify(attempt));
    const answer = await this.#store.put(attemptKey(recipe, number), body, { ifAbsent: true });
    return answer === 'written';
  }

  /** Says how our own attempt goes on, or how it ended. */
  async report(recipe: EngineRecipe, { number, attempt }: NumberedAttempt): Promise<void> {
    await this.#store.put(attemptKey(recipe, number), Buffer.from(JSON.stringify(attempt)));
  }

  async #attemptKeys(recipe: EngineRecipe): Promise<string[]> {
    const { objects } = await this.#store.list({ prefix: `${engineFolder(recipe)}${ATTEMPTS}` });
    return objects.map(({ key }) => key);
  }

  async #manifest(folder: string): Promise<EngineManifest | undefined> {
    if ((await this.#store.head(`${folder}${MANIFEST}`)) === undefined) return undefined;
    const { body } = await this.#store.get(`${folder}${MANIFEST}`);
    try {
      return EngineManifest.parse(JSON.parse(body.toString()));
    } catch (cause) {
      throw new SluiceError(
        'model-invalid',
        `"${folder}${MANIFEST}" is not as expected: ${messageOf(cause)}`,
        {
          cause,
        },
      );
    }
  }
}

/** In the order of their numbers by name, too. */
function attemptKey(recipe: EngineRecipe, number: number): string {
  return `${engineFolder(recipe)}${ATTEMPTS}${String(number).padStart(6, '0')}.json`;
}
