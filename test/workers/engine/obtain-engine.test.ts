import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { type BuiltEngine, EngineRecipe, engineFolder } from '#core/engine-artifact.ts';
import { SluiceError } from '#core/error.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { EngineStore, type NumberedAttempt } from '#workers/engine/engine-store.ts';
import { obtainEngine } from '#workers/engine/obtain-engine.ts';

const recipe = EngineRecipe.parse({
  model: 'mean',
  modelSha256: 'a'.repeat(64),
  precision: 'fp16',
  batch: { min: 1, opt: 256, max: 256 },
  computeCapability: '7.5',
  tensorrt: '10.15.1',
  cuda: '13.0',
  onnxruntime: '1.30.0',
  builderFlags: [],
});

function builtEngine(of: EngineRecipe = recipe): BuiltEngine {
  const facts = (file: string, bytes: Buffer) => ({ file, bytes: bytes.length, sha256: sha256Hex(bytes) });
  const engine = Buffer.from('an engine');
  const wrapper = Buffer.from('its wrapper');
  const manifest: BuiltEngine['manifest'] = {
    schema: 1,
    recipe: of,
    engine: facts('model.engine', engine),
    wrapper: facts('model.onnx', wrapper),
    inputs: [{ name: 'pixels', dtype: 'uint8', shape: [null, 2, 2, 3] }],
    outputs: [{ name: 'scores', dtype: 'float32', shape: [null, 1] }],
    builtAt: '2026-11-21T00:00:00.000Z',
    buildSeconds: 1,
  };
  return { manifest, engine, wrapper };
}

const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

function attempt({ worker, at }: { worker: string; at: string }): NumberedAttempt {
  return { number: 1, attempt: { worker, state: 'building', startedAt: at, at } };
}

async function start() {
  const folder = await temporaryFolder();
  const store = new FolderStore(folder.path);
  return { ...folder, store, engines: new EngineStore(store) };
}

describe('the engine of a fleet', () => {
  it('is built once, however many workers start at the same time', async () => {
    await using fleet = await start();
    let builds = 0;
    const progress: string[] = [];
    const worker = (name: string) =>
      obtainEngine(fleet.engines, {
        recipe,
        worker: name,
        build: async () => {
          builds++;
          await sleep(100);
          return builtEngine();
        },
        onProgress: (message) => progress.push(message),
        pollMs: 10,
      });
    const got = await Promise.all(['a', 'b', 'c', 'd'].map(worker));
    expect(builds).toBe(1);
    for (const { engine, wrapper } of got)
      expect([engine.toString(), wrapper.toString()]).toEqual(['an engine', 'its wrapper']);
    expect(progress.some((message) => /is building the engine/.test(message))).toBe(true);
    expect(await fleet.engines.lastAttempt(recipe)).toBeUndefined();
  });

  it('is another one for another GPU, TensorRT, model, precision or batch', () => {
    const others = [
      { computeCapability: '8.6' },
      { tensorrt: '10.16.0' },
      { modelSha256: 'b'.repeat(64) },
      { precision: 'fp32' as const },
      { batch: { min: 1, opt: 64, max: 64 } },
      { builderFlags: ['--noTF32'] },
    ].map((change) => engineFolder({ ...recipe, ...change }));
    expect(new Set([engineFolder(recipe), ...others]).size).toBe(others.length + 1);
    expect(engineFolder(recipe)).toMatch(/^engines\/mean\/sm75-fp16-[0-9a-f]{16}\/$/);
  });

  it('is built by somebody else when its builder has died, and by one of those who wait', async () => {
    await using fleet = await start();
    await fleet.engines.begin(recipe, attempt({ worker: 'dead', at: ago(60_000) }));
    const progress: string[] = [];
    let builds = 0;
    const worker = (name: string) =>
      obtainEngine(fleet.engines, {
        recipe,
        worker: name,
        build: async () => {
          builds++;
          await sleep(50);
          return builtEngine();
        },
        onProgress: (message) => progress.push(message),
        pollMs: 10,
        staleAfterMs: 30_000,
      });
    const got = await Promise.all(['a', 'b', 'c'].map(worker));
    expect(got.map(({ engine }) => engine.toString())).toEqual(Array(3).fill('an engine'));
    expect(builds).toBe(1);
    expect(progress.join('\n')).toMatch(/"dead" has not been heard of .* taken for dead/);
  });

  it('is waited for as long as its builder says that it is at it', async () => {
    await using fleet = await start();
    const isRenewed = async (): Promise<boolean> => {
      const last = await fleet.engines.lastAttempt(recipe);
      return last !== undefined && last.attempt.at > last.attempt.startedAt;
    };
    const build = async () => {
      while (!(await isRenewed())) await sleep(5);
      return builtEngine();
    };
    const options = { recipe, worker: 'a', build, heartbeatMs: 10 };
    expect((await obtainEngine(fleet.engines, options)).engine.toString()).toBe('an engine');
  });

  it('may be built by the next one at once when its builder is stopped, and the build ends', async () => {
    await using fleet = await start();
    const stop = new AbortController();
    let isBuilding = () => {};
    const begun = new Promise<void>((resolve) => {
      isBuilding = resolve;
    });
    const stopped = obtainEngine(fleet.engines, {
      recipe,
      worker: 'on a Spot instance',
      build: async (_, signal) => {
        isBuilding();
        await sleep(60_000, undefined, { signal });
        return builtEngine();
      },
      signal: stop.signal,
    });
    await begun;
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
    const next = await obtainEngine(fleet.engines, { recipe, worker: 'b', build: async () => builtEngine() });
    expect(next.engine.toString()).toBe('an engine');
  });

  it('is not tried again by each worker in turn when a build fails, but after a while', async () => {
    await using fleet = await start();
    const fails = () => Promise.reject(new Error('out of memory'));
    const first = obtainEngine(fleet.engines, { recipe, worker: 'a', build: fails });
    await expect(first).rejects.toThrow('out of memory');
    expect(await fleet.engines.isBuilt(recipe)).toBe(false);
    const build = async () => builtEngine();
    await expect(obtainEngine(fleet.engines, { recipe, worker: 'b', build })).rejects.toMatchObject({
      code: 'model-invalid',
      message: expect.stringMatching(/"a" could not build the engine .* out of memory/),
    });
    const later = { recipe, worker: 'c', build, retryFailedAfterMs: 0 };
    expect((await obtainEngine(fleet.engines, later)).engine.toString()).toBe('an engine');
  });

  it('is asked for in words where this worker may not build it', async () => {
    await using fleet = await start();
    class ReadOnlyStore extends FolderStore {
      override put(): Promise<never> {
        return Promise.reject(new SluiceError('object-forbidden', 'AccessDenied'));
      }
    }
    const engines = new EngineStore(new ReadOnlyStore(fleet.path));
    const build = async () => builtEngine();
    await expect(obtainEngine(engines, { recipe, worker: 'a', build })).rejects.toMatchObject({
      code: 'engine-unavailable',
      message: expect.stringMatching(/no engine of "mean" in fp16 .*sluice models build-engine/),
    });
  });

  it('is read from this machine where its files lie there already', async () => {
    await using fleet = await start();
    await using local = await temporaryFolder();
    const built = builtEngine();
    await fleet.engines.publish(built);
    await writeFile(join(local.path, built.manifest.engine.file), built.engine);
    // What is not on this machine would be missed now.
    await fleet.store.delete([`${engineFolder(recipe)}${built.manifest.engine.file}`]);
    expect((await fleet.engines.find(recipe, local.path))?.engine.toString()).toBe('an engine');
    await writeFile(join(local.path, built.manifest.engine.file), 'something else');
    await expect(fleet.engines.find(recipe, local.path)).rejects.toMatchObject({ code: 'object-missing' });
  });

  it('is refused when it is not the file that was built', async () => {
    await using fleet = await start();
    await fleet.engines.publish(builtEngine());
    await fleet.store.put(`${engineFolder(recipe)}model.engine`, Buffer.from('another engine'));
    await expect(fleet.engines.find(recipe)).rejects.toMatchObject({
      code: 'model-invalid',
      message: expect.stringMatching(/not the file that was built.*delete/),
    });
  });
});
