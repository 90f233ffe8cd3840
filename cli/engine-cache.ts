import { homedir } from 'node:os';
import { join } from 'node:path';
import type { EngineRecipe } from '#core/engine-artifact.ts';

/** Where this machine keeps engines and what the builder has measured. */
export function engineCacheFolder(env: Readonly<Record<string, string | undefined>>): string {
  return env['SLUICE_ENGINE_CACHE'] ?? join(homedir(), '.cache', 'sluice', 'engines');
}

/** The builder's measurements, which hold for one kind of GPU and one TensorRT: a second build of like layers takes seconds. */
export function timingCachePath(
  cacheFolder: string,
  { computeCapability, tensorrt }: Pick<EngineRecipe, 'computeCapability' | 'tensorrt'>,
): string {
  return join(cacheFolder, `timing-${computeCapability}-${tensorrt}.cache`);
}
