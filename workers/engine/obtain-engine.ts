import { setTimeout as sleep } from 'node:timers/promises';
import type { BuiltEngine, EngineRecipe } from '#core/engine-artifact.ts';
import type { EngineStore } from './engine-store.ts';

export interface ObtainOptions {
  readonly recipe: EngineRecipe;
  /** What this worker is called, for others who wait for it. */
  readonly worker: string;
  /** Builds the engine on this machine's GPU: minutes. */
  build(recipe: EngineRecipe): Promise<BuiltEngine>;
  /** Told what is being waited for. */
  onProgress?(message: string): void;
  readonly pollMs?: number;
  /** A builder that has taken so long is dead: somebody else builds. */
  readonly staleAfterMs?: number;
  readonly signal?: AbortSignal;
}

const POLL_MS = 5_000;
/** TensorRT takes minutes for large models, and a T4 is slow at it. */
const STALE_AFTER_MS = 45 * 60_000;

/**
 * The engine of a recipe: from the store, where somebody has built it; else built here, once for the whole fleet, while
 * the others wait.
 */
export async function obtainEngine(engines: EngineStore, options: ObtainOptions): Promise<BuiltEngine> {
  const { recipe, worker, onProgress, pollMs = POLL_MS, staleAfterMs = STALE_AFTER_MS, signal } = options;
  for (;;) {
    signal?.throwIfAborted();
    const known = await engines.find(recipe);
    if (known !== undefined) return known;
    if (await engines.claim(recipe, { worker, at: new Date().toISOString() })) {
      // It may have been published between our look and our claim.
      const published = await engines.find(recipe);
      if (published !== undefined) {
        await engines.release(recipe);
        return published;
      }
      return buildAndPublish(engines, options);
    }
    const other = await engines.builder(recipe);
    if (other === undefined) continue;
    const takenMs = Date.now() - Date.parse(other.at);
    if (takenMs > staleAfterMs) {
      onProgress?.(
        `"${other.worker}" has been building for ${minutes(takenMs)} minutes: it is taken for dead`,
      );
      await engines.release(recipe);
      continue;
    }
    onProgress?.(`"${other.worker}" is building the engine, for ${minutes(takenMs)} minutes now`);
    await sleep(pollMs, undefined, { signal });
  }
}

async function buildAndPublish(
  engines: EngineStore,
  { recipe, build, onProgress }: ObtainOptions,
): Promise<BuiltEngine> {
  try {
    onProgress?.(`building the engine of "${recipe.model}" in ${recipe.precision}: this takes minutes, once`);
    const built = await build(recipe);
    await engines.publish(built);
    return built;
  } catch (error) {
    await engines.release(recipe);
    throw error;
  }
}

function minutes(ms: number): number {
  return Math.round(ms / 60_000);
}
