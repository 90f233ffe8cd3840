import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { EngineRecipe } from '#core/engine-artifact.ts';
import { buildEngine } from '#models/gpu/build-engine.ts';
import { ModelProtoSchema, TensorProto_DataType } from '#models/onnx/generated/onnx_pb.js';
import { GraphBuilder } from '#models/onnx/graph-builder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

/** Says what it is told, keeps the network, and writes an "engine"; fails where FAKE_TRTEXEC_FAILS is in a flag. */
const FAKE_TRTEXEC = `#!/usr/bin/env node
const { copyFileSync, writeFileSync } = require('node:fs');
const value = (name) => process.argv.find((one) => one.startsWith(name + '='))?.slice(name.length + 1);
console.log('[I] args ' + JSON.stringify(process.argv.slice(2)));
if (process.argv.includes('--fail')) {
  console.error('[I] Start parsing network model.');
  console.error('[E] no kernel for node_7');
  process.exit(1);
}
copyFileSync(value('--onnx'), value('--timingCacheFile') + '.onnx');
writeFileSync(value('--saveEngine'), 'an engine');
`;

const recipe = EngineRecipe.parse({
  model: 'colours',
  modelSha256: 'a'.repeat(64),
  precision: 'fp16',
  batch: { min: 1, opt: 16, max: 32 },
  computeCapability: '7.5',
  tensorrt: '10.15.1',
  cuda: '13.0',
  onnxruntime: '1.30.0',
  builderFlags: ['--noTF32'],
});

async function start() {
  const folder = await temporaryFolder();
  const trtexec = join(folder.path, 'trtexec');
  await writeFile(trtexec, FAKE_TRTEXEC);
  await chmod(trtexec, 0o755);
  // As import prepares them: moved about as bytes, and cast afterwards.
  const g = new GraphBuilder('colours', 17);
  const pixels = g.input('pixels', 'uint8', ['N', 4, 4, 3]);
  const planes = g.node('Transpose', [pixels], { perm: [0, 3, 1, 2] });
  const bgr = g.node('Gather', [planes, g.constant('int64', [3], [2, 1, 0])], { axis: 1 });
  const floats = g.node('Cast', [bgr], { to: 1 });
  const folded = g.node('Mul', [g.constant('float32', [1], [0.5]), g.constant('float32', [1], [2])]);
  const scaled = g.node('Mul', [floats, folded]);
  g.output('scores', 'float32', ['N', 3], g.node('ReduceMean', [scaled], { axes: [2, 3], keepdims: 0 }));
  const modelPath = join(folder.path, 'model.onnx');
  await writeFile(modelPath, g.toBytes());
  return { ...folder, trtexec, modelPath, timingCachePath: join(folder.path, 'not there yet', 'timing') };
}

async function scoresOf(modelPath: string): Promise<number[]> {
  await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 4 });
  const data = Uint8Array.from({ length: 2 * 48 }, (_, i) => (i * 11) % 256);
  const { scores } = await engine.run({ pixels: { dtype: 'uint8', shape: [2, 4, 4, 3], data } });
  return [...(scores!.data as Float32Array)];
}

describe('building an engine', () => {
  it('tells TensorRT the profile, strong types and flags, and describes what came of it', async () => {
    await using here = await start();
    const lines: string[] = [];
    const built = await buildEngine({ ...here, recipe, onLine: (line) => lines.push(line) });
    const args = lines.join('\n');
    for (const expected of [
      '--stronglyTyped',
      '--minShapes=pixels:1x4x4x3',
      '--optShapes=pixels:16x4x4x3',
      '--maxShapes=pixels:32x4x4x3',
      '--noTF32',
    ])
      expect(args).toContain(expected);
    expect(built.engine.toString()).toBe('an engine');
    expect(built.manifest).toMatchObject({
      recipe,
      engine: { file: `model-${sha256Hex(Buffer.from('an engine')).slice(0, 16)}.engine`, bytes: 9 },
      inputs: [{ name: 'pixels', dtype: 'uint8', shape: [null, 4, 4, 3] }],
      outputs: [{ name: 'scores', dtype: 'float32', shape: [null, 3] }],
    });
  });

  it('gives TensorRT uint8 at the ends only, nothing to fold, and the same answers', async () => {
    await using here = await start();
    await buildEngine({ ...here, recipe });
    const network = `${here.timingCachePath}.onnx`;
    const { graph, opsetImport } = fromBinary(ModelProtoSchema, await readFile(network));
    expect(graph?.node[0]).toMatchObject({ opType: 'Cast', input: ['pixels'] });
    expect(graph?.node.filter(({ opType }) => opType === 'Mul').length).toBeLessThanOrEqual(1);
    expect(opsetImport.map(({ domain }) => domain)).toEqual(['']);
    const expected = await scoresOf(here.modelPath);
    for (const [i, got] of (await scoresOf(network)).entries()) expect(got).toBeCloseTo(expected[i]!, 0);
  });

  it('ends at once where it is stopped, and leaves no builder behind', async () => {
    await using here = await start();
    const pidFile = join(here.path, 'pid');
    await writeFile(here.trtexec, `#!/bin/sh\necho $$ > '${pidFile}'\nexec sleep 600\n`);
    const stop = new AbortController();
    const building = buildEngine({ ...here, recipe, signal: stop.signal });
    const isStarted = () => readFile(pidFile, 'utf8').catch(() => '');
    while (!/\d+\n/.test(await isStarted())) await sleep(10);
    stop.abort();
    await expect(building).rejects.toMatchObject({ name: 'AbortError' });
    const pid = Number(await isStarted());
    const isAlive = (): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    while (isAlive()) await sleep(10);
  });

  it('wraps the engine into one node with its names, for its GPU', async () => {
    await using here = await start();
    const { wrapper, manifest } = await buildEngine({ ...here, recipe });
    const { graph, irVersion } = fromBinary(ModelProtoSchema, wrapper);
    expect(irVersion).toBe(8n);
    expect(graph?.node).toHaveLength(1);
    expect(graph?.node[0]).toMatchObject({
      opType: 'EPContext',
      domain: 'com.microsoft',
      input: ['pixels'],
      output: ['scores'],
    });
    const attributes = Object.fromEntries(
      (graph?.node[0]?.attribute ?? []).map(({ name, i, s }) => [
        name,
        s.length > 0 ? Buffer.from(s).toString() : Number(i),
      ]),
    );
    expect(attributes).toMatchObject({
      embed_mode: 0,
      ep_cache_context: manifest.engine.file,
      main_context: 1,
      hardware_architecture: '75',
    });
    const type = graph?.input[0]?.type?.value;
    expect(type?.case === 'tensorType' && type.value.elemType).toBe(TensorProto_DataType.UINT8);
    // ONNX Runtime takes it as a model, and says that the CPU is not what runs it.
    const modelPath = join(here.path, 'wrapper.onnx');
    await writeFile(modelPath, wrapper);
    await expect(OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 1 })).rejects.toThrow(
      /EPContext/,
    );
  });

  it('says what TensorRT said when it fails, and what is missing when it is', async () => {
    await using here = await start();
    const failing = { ...recipe, builderFlags: ['--fail'] };
    await expect(buildEngine({ ...here, recipe: failing })).rejects.toMatchObject({
      code: 'model-invalid',
      message: expect.stringContaining('[E] no kernel for node_7'),
    });
    await expect(buildEngine({ ...here, recipe, trtexec: join(here.path, 'none') })).rejects.toMatchObject({
      code: 'engine-unavailable',
      message: expect.stringMatching(/expected TensorRT's trtexec/),
    });
  });
});
