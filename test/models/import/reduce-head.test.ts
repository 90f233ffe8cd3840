import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { detect } from '#core/decode/detection.ts';
import type { DetectorHead } from '#core/model-manifest.ts';
import { importModel } from '#models/import/import-model.ts';
import { GraphBuilder } from '#models/onnx/graph-builder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { putModel } from '#test/support/tiny-models.ts';

const SIDE_PX = 64;
/** In grids of 8, 16 and 32 px. */
const CELLS = 84;
const LABELS = ['cat', 'dog', 'fox'];

type Kind = 'yolo-v5' | 'yolo-v8' | 'yolox';

const HEADS: Record<Kind, { shape: [number, number]; head: DetectorHead }> = {
  'yolo-v5': { shape: [3 * CELLS, 8], head: { kind: 'yolo-v5', output: 'y' } },
  'yolo-v8': { shape: [7, CELLS], head: { kind: 'yolo-v8', output: 'y' } },
  yolox: { shape: [CELLS, 8], head: { kind: 'yolox', output: 'y', stridesPx: [8, 16, 32] } },
};

/** The same numbers as boxes and scores every time: between 0 and 1, most of them small. */
function numbers(count: number): number[] {
  let state = 7;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.fround((state / 2 ** 32) ** 2);
  });
}

/** A detector that finds the same in every picture. */
function detectorModel(kind: Kind, opset: number, data: readonly number[]): Uint8Array {
  const g = new GraphBuilder('detector', opset);
  const x = g.input('x', 'float32', [1, 3, SIDE_PX, SIDE_PX]);
  const means = g.node('Reshape', [g.node('GlobalAveragePool', [x]), g.ints(1, 1, 3)]);
  const nothing = g.node('MatMul', [means, g.constant('float32', [3, 1], [0, 0, 0])]);
  const { shape } = HEADS[kind];
  g.output(
    'y',
    'float32',
    [1, ...shape],
    g.node('Add', [g.constant('float32', [1, ...shape], data), nothing]),
  );
  return g.toBytes();
}

async function importing(kind: Kind, opset: number, data: readonly number[], folder: string) {
  return importModel({
    path: await putModel(folder, detectorModel(kind, opset, data)),
    wishes: { labels: LABELS },
    preset: kind === 'yolox' ? 'yolox' : 'yolo',
    modelsFolder: join(folder, 'models'),
    force: true,
    maxSecondsPerRun: 30,
  });
}

describe('picking the best class of each anchor in the graph', () => {
  it.each(
    (['yolo-v5', 'yolo-v8', 'yolox'] as const).flatMap((kind) =>
      [9, 13, 18].map((opset) => [kind, opset] as const),
    ),
  )('finds what the whole head finds: %s, opset %i', async (kind, opset) => {
    await using folder = await temporaryFolder();
    const { shape, head } = HEADS[kind];
    const data = numbers(shape[0] * shape[1]);
    const imported = await importing(kind, opset, data, folder.path);
    const { manifest, modelPath } = await loadModel(imported.folder);
    expect(manifest).toMatchObject({
      detector: { head: { kind: 'anchors' } },
      prepared: { reduced: { kind } },
    });
    await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 2 });
    const pixels = new Uint8Array(2 * SIDE_PX * SIDE_PX * 3);
    const outputs = await engine.run({
      [manifest.inputs[0]!.name]: { dtype: 'uint8', shape: [2, SIDE_PX, SIDE_PX, 3], data: pixels },
    });
    const sources = [
      { widthPx: 640, heightPx: 480 },
      { widthPx: 64, heightPx: 64 },
    ];
    const whole = {
      y: { dtype: 'float32', shape: [2, ...shape], data: Float32Array.from([...data, ...data]) } as const,
    };
    const expected = detect(whole, { ...manifest.detector!, head }, manifest.preprocess, sources);
    expect(expected[0]!.length).toBeGreaterThan(3);
    expect(detect(outputs, manifest.detector!, manifest.preprocess, sources)).toEqual(expected);
  });

  it.each(['yolo-v5', 'yolo-v8', 'yolox'] as const)(
    'does not lose NaN among the scores of %s',
    async (kind) => {
      await using folder = await temporaryFolder();
      const { shape } = HEADS[kind];
      const data = numbers(shape[0] * shape[1]);
      // The second class of the fourth anchor.
      data[kind === 'yolo-v8' ? 5 * CELLS + 3 : 3 * 8 + 6] = Number.NaN;
      await expect(importing(kind, 13, data, folder.path)).rejects.toThrow(
        /on ordinary pixels .* a score is NaN/,
      );
    },
  );
});
