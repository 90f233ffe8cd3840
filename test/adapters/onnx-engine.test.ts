import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { IsolatedEngine } from '#adapters/isolated-engine.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { NODE_ARGUMENTS } from '#adapters/runtime.ts';
import type { Engine, EngineBatch } from '#core/ports/engine.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { endlessModel, putModel } from '#test/support/tiny-models.ts';

const model = await loadModel('models/quality');
const options = { modelPath: model.modelPath, provider: 'cpu', threads: 1, maxBatch: 4 } as const;

const ENGINES: [string, () => Promise<Engine>][] = [
  ['in a thread', () => OnnxEngine.load(options)],
  ['in a process', () => IsolatedEngine.load({ ...options, maxSecondsPerRun: 60 })],
];

/** Six noisy pictures. */
function batch(): EngineBatch {
  const { widthPx, heightPx } = model.manifest.preprocess;
  const pixels = Buffer.allocUnsafeSlow(6 * widthPx * heightPx * 3);
  for (let i = 0; i < pixels.length; i++) pixels[i] = (i * 2654435761) >>> 24;
  return {
    images: { dtype: 'uint8', shape: [6, heightPx, widthPx, 3], data: pixels },
    content_size: { dtype: 'int32', shape: [6, 2], data: Int32Array.from({ length: 12 }, () => widthPx) },
  };
}

describe('an engine whose batches are padded', () => {
  it('gives what it gives without, for every image and no other', async () => {
    await using plain = await OnnxEngine.load(options);
    await using padded = await OnnxEngine.load({ ...options, padBatches: true });
    const [expected, got] = await Promise.all([plain.run(batch()), padded.run(batch())]);
    for (const [name, { shape, data }] of Object.entries(expected)) {
      expect(got[name]?.shape).toEqual(shape);
      expect([...(got[name]!.data as Float32Array)]).toEqual([...(data as Float32Array)]);
    }
  });
});

describe('an engine in a thread that hangs', () => {
  it('fails its runs after its time limit, and lets the process end', async () => {
    await using folder = await temporaryFolder();
    const path = await putModel(folder.path, endlessModel({ prepared: true }));
    const child = spawn(process.execPath, [...NODE_ARGUMENTS, 'test/support/hung-thread.ts', path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const [, signal] = await once(child, 'close');
    const stopped = 'the model did not end within 1 s on a batch of 2, and was stopped: .*\n';
    expect(said).toMatch(new RegExp(`^${stopped}${stopped}ending\n$`));
    expect(signal).toBe('SIGKILL');
  });
});

describe.each(ENGINES)('an engine %s', (_, load) => {
  it('takes a batch in pieces, whatever slices it runs in', async () => {
    await using engine = await load();
    const whole = batch();
    const rowBytes = (whole['images']!.data as Buffer).length / 6;
    const expected = await engine.run(batch());
    const inPieces = Object.fromEntries(
      Object.entries(whole).map(([name, input]) => {
        const data = input.data as Buffer;
        const perRow = name === 'images' ? rowBytes : 2;
        // The run takes at most four: the first slice is of two pieces, and so is the second.
        const pieces = [
          [0, 3],
          [3, 5],
          [5, 6],
        ] as const;
        return [name, { ...input, data: pieces.map(([from, to]) => data.slice(from * perRow, to * perRow)) }];
      }),
    );
    const got = await engine.run(inPieces);
    for (const [name, { data }] of Object.entries(expected))
      expect([...(got[name]!.data as Float32Array)]).toEqual([...(data as Float32Array)]);
  });

  it('gives the memory of a batch back, whether the model takes the batch or not', async () => {
    await using engine = await load();
    const recycled: number[] = [];
    const recycle = (memory: ArrayBuffer): void => void recycled.push(memory.byteLength);
    const good = batch();
    const bytes = Object.values(good).map(({ data }) => (data as Buffer).byteLength);
    const outputs = await engine.run(good, { recycle });
    expect(Object.values(outputs)[0]?.shape[0]).toBe(6);
    expect(recycled.toSorted()).toEqual(bytes.toSorted());

    recycled.length = 0;
    const { images } = batch();
    await expect(
      engine.run({ images: { ...images!, shape: [6, 1, 1, 3] } }, { recycle }),
    ).rejects.toMatchObject({
      code: 'engine-failed',
    });
    expect(recycled).toEqual([bytes[0]]);
  });
});
