import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { type BuiltEngine, EngineRecipe, engineFolder } from '#core/engine-artifact.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { EngineStore } from '#workers/engine/engine-store.ts';
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
    expect(await fleet.engines.builder(recipe)).toBeUndefined();
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

  it('is built by somebody else when its builder has died', async () => {
    await using fleet = await start();
    await fleet.engines.claim(recipe, { worker: 'dead', at: new Date(Date.now() - 60_000).toISOString() });
    const progress: string[] = [];
    const { engine } = await obtainEngine(fleet.engines, {
      recipe,
      worker: 'next',
      build: async () => builtEngine(),
      onProgress: (message) => progress.push(message),
      pollMs: 10,
      staleAfterMs: 30_000,
    });
    expect(engine.toString()).toBe('an engine');
    expect(progress.join('\n')).toMatch(/"dead" has been building .* taken for dead/);
  });

  it('leaves the right to build to the next one when a build fails', async () => {
    await using fleet = await start();
    const build = () => Promise.reject(new Error('out of memory'));
    await expect(obtainEngine(fleet.engines, { recipe, worker: 'a', build })).rejects.toThrow(
      'out of memory',
    );
    expect(await fleet.engines.builder(recipe)).toBeUndefined();
    expect(await fleet.engines.isBuilt(recipe)).toBe(false);
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
