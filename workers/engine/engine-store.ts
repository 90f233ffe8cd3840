import { sha256Hex } from '#core/canonical-json.ts';
import { type BuiltEngine, EngineManifest, type EngineRecipe, engineFolder } from '#core/engine-artifact.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

const MANIFEST = 'engine.json';
const LOCK = 'building.json';

/** Who builds an engine, and since when. */
export interface BuildLock {
  readonly worker: string;
  readonly at: string;
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

  /** The engine of a recipe, checked against its hashes; `undefined` where nobody has built it. */
  async find(recipe: EngineRecipe): Promise<BuiltEngine | undefined> {
    const folder = engineFolder(recipe);
    const manifest = await this.#manifest(folder);
    if (manifest === undefined) return undefined;
    const [engine, wrapper] = await Promise.all(
      [manifest.engine, manifest.wrapper].map(async ({ file, sha256 }) => {
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

  /** The manifest is written last: who sees it sees the rest. */
  async publish({ manifest, engine, wrapper }: BuiltEngine): Promise<void> {
    const folder = engineFolder(manifest.recipe);
    // In parts: engines of large models pass what services take in one request.
    const writer = await this.#store.createWriter(`${folder}${manifest.engine.file}`);
    await writer.write(engine);
    await writer.commit();
    await this.#store.put(`${folder}${manifest.wrapper.file}`, wrapper);
    await this.#store.put(`${folder}${MANIFEST}`, Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
    await this.release(manifest.recipe);
  }

  /** Takes the right to build, which one worker has at a time. @returns whether it is ours now. */
  async claim(recipe: EngineRecipe, lock: BuildLock): Promise<boolean> {
    const body = Buffer.from(JSON.stringify(lock));
    return (await this.#store.put(`${engineFolder(recipe)}${LOCK}`, body, { ifAbsent: true })) === 'written';
  }

  /** Who is building; `undefined` where nobody is. */
  async builder(recipe: EngineRecipe): Promise<BuildLock | undefined> {
    try {
      const { body } = await this.#store.get(`${engineFolder(recipe)}${LOCK}`);
      return JSON.parse(body.toString()) as BuildLock;
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'object-missing') return undefined;
      throw error;
    }
  }

  async release(recipe: EngineRecipe): Promise<void> {
    await this.#store.delete([`${engineFolder(recipe)}${LOCK}`]);
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
