import { setTimeout as sleep } from 'node:timers/promises';
import type { BuiltEngine, EngineRecipe } from '#core/engine-artifact.ts';
import type { BuildAttempt } from '#core/engine-build.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { EngineStore, NumberedAttempt } from './engine-store.ts';

export interface ObtainOptions {
  readonly recipe: EngineRecipe;
  /** What this worker is called, for others who wait for it. */
  readonly worker: string;
  /** Where files of the engine may lie already. */
  readonly localFolder?: string;
  /** Builds the engine on this machine's GPU: minutes. Ends where the signal says so. */
  build(recipe: EngineRecipe, signal: AbortSignal): Promise<BuiltEngine>;
  /** Told what is being waited for, also while this worker builds. */
  onProgress?(message: string): void;
  readonly pollMs?: number;
  /** While it builds, a worker says so as often as this. */
  readonly heartbeatMs?: number;
  /** A builder that has said nothing for so long is dead: somebody else builds. */
  readonly staleAfterMs?: number;
  /** What could not be built is tried again after so long, not at once by each worker in turn. */
  readonly retryFailedAfterMs?: number;
  readonly signal?: AbortSignal;
}

const POLL_MS = 5_000;
const HEARTBEAT_MS = 30_000;
/** Five heartbeats. */
const STALE_AFTER_MS = 150_000;
const RETRY_FAILED_AFTER_MS = 15 * 60_000;

/**
 * The engine of a recipe: from the store, where somebody has built it; else built here, once for the whole fleet, while
 * the others wait. Whoever is stopped while building gives the right to build back.
 *
 * @throws SluiceError `engine-unavailable` where this worker may not build, `model-invalid` where it cannot be built, by
 * this worker or by another one a short time ago.
 */
export async function obtainEngine(engines: EngineStore, options: ObtainOptions): Promise<BuiltEngine> {
  const { recipe, onProgress, localFolder, pollMs = POLL_MS } = options;
  const signal = options.signal ?? new AbortController().signal;
  let toldMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    signal.throwIfAborted();
    const known = await engines.find(recipe, localFolder);
    if (known !== undefined) return known;
    const last = await engines.lastAttempt(recipe);
    if (last !== undefined && isAtIt(last.attempt, options)) {
      if (performance.now() - toldMs >= (options.heartbeatMs ?? HEARTBEAT_MS)) {
        toldMs = performance.now();
        onProgress?.(
          `"${last.attempt.worker}" is building the engine, for ${seconds(last.attempt.startedAt)} s now`,
        );
      }
      await sleep(pollMs, undefined, { signal });
      continue;
    }
    const ours = await begun(engines, options, (last?.number ?? 0) + 1);
    if (ours === undefined) continue;
    if (last?.attempt.state === 'building')
      onProgress?.(`"${last.attempt.worker}" has not been heard of for too long: it is taken for dead`);
    // It may have been published between our look and our claim.
    const published = await engines.find(recipe, localFolder);
    if (published === undefined) return buildAndPublish(engines, options, ours, signal);
    await engines.report(recipe, ended(ours, 'released'));
    return published;
  }
}

/** @throws SluiceError where it failed a short time ago: it would fail again. */
function isAtIt({ state, at, worker, reason }: BuildAttempt, options: ObtainOptions): boolean {
  const { staleAfterMs = STALE_AFTER_MS, retryFailedAfterMs = RETRY_FAILED_AFTER_MS } = options;
  const ageMs = Date.now() - Date.parse(at);
  if (state === 'failed' && ageMs < retryFailedAfterMs)
    throw new SluiceError(
      'model-invalid',
      `"${worker}" could not build the engine ${seconds(at)} s ago, and it is tried again ${retryFailedAfterMs / 60_000} minutes after that: ${reason}`,
    );
  return state === 'building' && ageMs < staleAfterMs;
}

/** Our attempt; `undefined` where somebody else was faster. */
async function begun(
  engines: EngineStore,
  { recipe, worker }: ObtainOptions,
  number: number,
): Promise<NumberedAttempt | undefined> {
  const now = new Date().toISOString();
  const ours: NumberedAttempt = {
    number,
    attempt: { worker, state: 'building', startedAt: now, at: now },
  };
  try {
    return (await engines.begin(recipe, ours)) ? ours : undefined;
  } catch (cause) {
    if (!(cause instanceof SluiceError && cause.code === 'object-forbidden')) throw cause;
    const { model, precision, batch, computeCapability, tensorrt } = recipe;
    throw new SluiceError(
      'engine-unavailable',
      `there is no engine of "${model}" in ${precision} for compute capability ${computeCapability} and TensorRT ${tensorrt}, and this worker may not ` +
        `write one: run "sluice models build-engine <model> --precision ${precision} --batch ${batch.min}:${batch.opt}:${batch.max} --out s3://<work bucket>/" on such a machine, with the right to`,
      { cause },
    );
  }
}

async function buildAndPublish(
  engines: EngineStore,
  { recipe, build, onProgress, heartbeatMs = HEARTBEAT_MS }: ObtainOptions,
  ours: NumberedAttempt,
  signal: AbortSignal,
): Promise<BuiltEngine> {
  onProgress?.(`building the engine of "${recipe.model}" in ${recipe.precision}: this takes minutes, once`);
  let reporting: Promise<unknown> = Promise.resolve();
  const heartbeat = setInterval(() => {
    onProgress?.(`still building, for ${seconds(ours.attempt.startedAt)} s now`);
    // One that is lost is followed by the next.
    reporting = engines.report(recipe, ended(ours, 'building')).catch(() => undefined);
  }, heartbeatMs);
  try {
    const built = await build(recipe, signal);
    clearInterval(heartbeat);
    await reporting;
    await engines.publish(built);
    return built;
  } catch (error) {
    clearInterval(heartbeat);
    await reporting;
    const end = signal.aborted ? ended(ours, 'released') : ended(ours, 'failed', messageOf(error));
    await engines.report(recipe, end).catch(() => undefined);
    throw error;
  } finally {
    clearInterval(heartbeat);
  }
}

/** Our attempt as it stands now. */
function ended(
  { number, attempt }: NumberedAttempt,
  state: BuildAttempt['state'],
  reason?: string,
): NumberedAttempt {
  const now = new Date().toISOString();
  return { number, attempt: { ...attempt, state, at: now, ...(reason !== undefined && { reason }) } };
}

function seconds(since: string): number {
  return Math.round((Date.now() - Date.parse(since)) / 1000);
}
