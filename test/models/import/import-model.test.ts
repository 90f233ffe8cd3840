import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import type { Scores } from '#core/decode/classification.ts';
import { readOutputs } from '#core/decode/read-outputs.ts';
import { type ImportedModel, type ImportRequest, importModel } from '#models/import/import-model.ts';
import { GraphBuilder } from '#models/onnx/graph-builder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import {
  changed,
  endlessModel,
  meansModel,
  OPSET,
  PIXELS,
  putModel,
  SIDE_PX,
  singleImageModel,
} from '#test/support/tiny-models.ts';

const PLAIN: ImportRequest['wishes'] = {
  resize: { mode: 'squash' },
  scale: 1,
  decode: 'scores',
  labels: ['first', 'second', 'third'],
};

/** Imports a model, and scores pictures of one colour each in one batch. */
async function imported(
  bytes: Uint8Array,
  request: Partial<ImportRequest> = {},
  colours: readonly (readonly [number, number, number])[] = [[10, 100, 200]],
): Promise<ImportedModel & { scores: Scores[] }> {
  await using folder = await temporaryFolder();
  const path = await putModel(folder.path, bytes);
  const result = await importModel({
    path,
    wishes: PLAIN,
    modelsFolder: join(folder.path, 'models'),
    force: false,
    maxSecondsPerRun: 30,
    ...request,
  });
  const { manifest, modelPath } = await loadModel(result.folder);
  const { widthPx, heightPx } = manifest.preprocess;
  await using engine = await OnnxEngine.load({
    modelPath,
    provider: 'cpu',
    threads: 1,
    maxBatch: manifest.maxBatch ?? 8,
  });
  const data = Uint8Array.from(
    colours.flatMap((colour) => Array.from({ length: widthPx * heightPx * 3 }, (_, i) => colour[i % 3]!)),
  );
  const pixels = { dtype: 'uint8', shape: [colours.length, heightPx, widthPx, 3], data } as const;
  const outputs = await engine.run({ [manifest.inputs[0]!.name]: pixels });
  const results = readOutputs(
    outputs,
    manifest,
    colours.map(() => manifest.preprocess),
  );
  return { ...result, scores: results.map(({ scores }) => scores) };
}

const rounded = (scores: Scores | undefined): number[] =>
  Object.values(scores ?? {}).map((score) => Number(score.toFixed(3)));

describe('the prepared model', () => {
  it.each([
    ['nchw', 'float32'],
    ['nhwc', 'float32'],
    ['nchw', 'float16'],
    ['nhwc', 'float16'],
    ['nchw', 'uint8'],
    ['nhwc', 'uint8'],
  ] as const)('feeds an input of layout %s and type %s from uint8 pixels', async (layout, dtype) => {
    // Bytes are not scaled: there is nothing to tell.
    const { scale: _, ...unscaled } = PLAIN;
    const wishes = dtype === 'uint8' ? unscaled : PLAIN;
    const { scores, manifest } = await imported(meansModel({ layout, dtype }), { wishes });
    expect(rounded(scores[0])).toEqual([10, 100, 200]);
    expect(manifest.prepared).toMatchObject({ layout, dtype, input: 'x' });
  });

  it.each(['nchw', 'nhwc'] as const)('turns RGB into BGR for layout %s', async (layout) => {
    const { scores } = await imported(meansModel({ layout }), {
      wishes: { ...PLAIN, channelOrder: 'bgr', mean: [1, 2, 3] },
    });
    expect(rounded(scores[0])).toEqual([199, 98, 7]);
  });

  it('normalizes as torchvision does', async () => {
    const { scores } = await imported(meansModel(), { preset: 'imagenet', wishes: { decode: 'scores' } });
    expect(rounded(scores[0])).toEqual([
      Number(((10 / 255 - 0.485) / 0.229).toFixed(3)),
      Number(((100 / 255 - 0.456) / 0.224).toFixed(3)),
      Number(((200 / 255 - 0.406) / 0.225).toFixed(3)),
    ]);
  });

  it('normalizes as Keras does for models from Caffe', async () => {
    const { scores } = await imported(meansModel(), { preset: 'caffe-bgr', wishes: { decode: 'scores' } });
    expect(rounded(scores[0])).toEqual(
      [200 - 103.939, 100 - 116.779, 10 - 123.68].map((x) => Number(x.toFixed(3))),
    );
  });

  it('scales to −1 to 1 for tf-inception', async () => {
    const { scores } = await imported(
      meansModel(),
      { preset: 'tf-inception', wishes: { decode: 'scores' } },
      [[0, 255, 127.5]],
    );
    expect(rounded(scores[0]).slice(0, 2)).toEqual([-1, 1]);
  });

  it('leaves the scaling out where the graph takes bytes', async () => {
    const { scores } = await imported(meansModel({ dtype: 'uint8' }), {
      preset: 'imagenet',
      wishes: { decode: 'scores' },
    });
    expect(rounded(scores[0])).toEqual([10, 100, 200]);
  });

  it('lists weights as weights, where an old graph lists them among the inputs', async () => {
    const bytes = changed(
      singleImageModel((g, x) => {
        const weights = g.constant('float32', [1, 3, 1, 1], [2, 2, 2]);
        return g.node('ReduceMean', [g.node('Mul', [x, weights])], { axes: [2, 3], keepdims: 0 });
      }),
      (model) => {
        model.irVersion = 3n;
        const [weights] = model.graph!.initializer;
        model.graph!.input.push({ ...model.graph!.input[0]!, name: weights!.name });
      },
    );
    const { scores } = await imported(bytes);
    expect(rounded(scores[0])).toEqual([20, 200, 400]);
  });
});

const COLOURS = [
  [10, 100, 200],
  [20, 30, 40],
  [0, 255, 7],
] as const;
const BATCHED = COLOURS.map((colour) => [...colour]);

describe('a fixed batch of 1', () => {
  it('becomes dynamic where constants of Reshape hide it', async () => {
    const bytes = singleImageModel((g, x) => {
      const flat = g.node('Reshape', [x, g.ints(1, 3, PIXELS)]);
      const again = g.node('Reshape', [flat, g.ints(1, -1, SIDE_PX, SIDE_PX)]);
      return g.node('Reshape', [g.node('GlobalAveragePool', [again]), g.ints(1, 3)]);
    });
    const { scores, manifest, notes } = await imported(bytes, {}, COLOURS);
    expect(scores.map(rounded)).toEqual(BATCHED);
    expect(manifest.maxBatch).toBeUndefined();
    expect(notes.join()).not.toMatch(/one by one/);
  });

  it('becomes dynamic where a class token is stored for one image', async () => {
    const bytes = singleImageModel((g, x) => {
      const flat = g.node('Reshape', [x, g.ints(1, 3, PIXELS)]);
      const token = g.constant('float32', [1, 3, 1], [0, 0, 0]);
      const sum = g.node('ReduceSum', [g.node('Concat', [token, flat], { axis: -1 }), g.ints(2)], {
        keepdims: 0,
      });
      return g.node('Div', [sum, g.float(PIXELS)]);
    });
    const { scores, manifest } = await imported(bytes, {}, COLOURS);
    expect(scores.map(rounded)).toEqual(BATCHED);
    expect(manifest.maxBatch).toBeUndefined();
  });

  it('becomes dynamic where windows are counted together with the batch', async () => {
    const half = PIXELS / 2;
    const bytes = singleImageModel((g, x) => {
      // Two windows an image, as one dimension of 2 · 1.
      const parts = g.node('Transpose', [g.node('Reshape', [x, g.ints(1, 3, 2, half)])], {
        perm: [0, 2, 1, 3],
      });
      const windows = g.node('ReduceMean', [g.node('Reshape', [parts, g.ints(2, 3, half)])], {
        axes: [2],
        keepdims: 0,
      });
      return g.node('ReduceMean', [g.node('Reshape', [windows, g.ints(1, 2, 3)])], {
        axes: [1],
        keepdims: 0,
      });
    });
    const { scores, manifest } = await imported(bytes, {}, COLOURS);
    expect(scores.map(rounded)).toEqual(BATCHED);
    expect(manifest.maxBatch).toBeUndefined();
  });

  it.each([
    [
      'mixes the images of a batch',
      (g: GraphBuilder, x: ReturnType<GraphBuilder['float']>) => {
        const others = g.node('ReduceMean', [x], { axes: [0], keepdims: 1 });
        return g.node('ReduceMean', [g.node('Sub', [g.node('Add', [x, x]), others])], {
          axes: [2, 3],
          keepdims: 0,
        });
      },
    ],
    [
      'adds the batch up',
      (g: GraphBuilder, x: ReturnType<GraphBuilder['float']>) =>
        g.node('Unsqueeze', [g.node('ReduceMean', [x], { axes: [0, 2, 3], keepdims: 0 }), g.ints(0)]),
    ],
  ])('stays, with a warning, where the graph %s', async (_, body) => {
    const { scores, manifest, notes } = await imported(singleImageModel(body), {}, COLOURS);
    expect(manifest.maxBatch).toBe(1);
    expect(notes.join('\n')).toMatch(/images run one by one, which on a GPU costs most of its throughput/);
    expect(scores.map(rounded)).toEqual(BATCHED);
  });
});

describe('what cannot be imported', () => {
  const constantOutput = (g: GraphBuilder, x: ReturnType<GraphBuilder['float']>) =>
    g.node('ReduceMean', [g.node('Mul', [x, g.float(0)])], { axes: [2, 3], keepdims: 0 });

  it('is a model that never ends: it is stopped within its limit', async () => {
    await expect(imported(endlessModel(), { maxSecondsPerRun: 1 })).rejects.toThrow(
      /did not end within 1 s .* and was stopped/,
    );
  });

  it('is a model that gives NaN', async () => {
    const bytes = singleImageModel((g, x) => {
      const zero = constantOutput(g, x);
      return g.node('Div', [zero, zero]);
    });
    await expect(imported(bytes)).rejects.toThrow(/on ordinary pixels .* score "first" of image 0 .* is NaN/);
  });

  it.each([
    ['grayscale', [1, 1, 8, 8], /3 channels/],
    ['without a batch', [3, 8, 8], /with a batch dimension/],
  ] as const)('is a model that is %s', async (_, shape, reason) => {
    const g = new GraphBuilder('other', OPSET);
    g.output('y', 'float32', [1, 3], g.node('Identity', [g.input('x', 'float32', shape)]));
    await expect(imported(g.toBytes())).rejects.toThrow(reason);
  });

  it('is a label list of another length', async () => {
    await expect(imported(meansModel(), { wishes: { ...PLAIN, labels: ['one', 'two'] } })).rejects.toThrow(
      /gives 3 scores, but there are 2 labels/,
    );
  });

  it('is a model of any size, without the size', async () => {
    const g = new GraphBuilder('any', OPSET);
    const x = g.input('x', 'float32', ['N', 3, 'H', 'W']);
    g.output('y', 'float32', ['N', 3], g.node('ReduceMean', [x], { axes: [2, 3], keepdims: 0 }));
    await expect(imported(g.toBytes())).rejects.toThrow(/pass --input-size/);
    const { manifest } = await imported(g.toBytes(), { wishes: { ...PLAIN, widthPx: 6, heightPx: 4 } });
    expect(manifest.preprocess).toMatchObject({ widthPx: 6, heightPx: 4 });
  });

  it('is a model of which nobody knows how it was trained', async () => {
    await expect(imported(meansModel(), { wishes: {} })).rejects.toThrow(
      /Nobody can be asked here: pass --preset/,
    );
  });

  it('is nothing that a person can tell: the one question is asked', async () => {
    const asked: string[] = [];
    const { manifest } = await imported(meansModel(), {
      wishes: {},
      ask: async (question) => {
        asked.push(question);
        return 'clip';
      },
    });
    expect(asked).toHaveLength(1);
    expect(manifest.preprocess.kernel).toBe('cubic');
    expect(manifest.prepared?.mean[0]).toBeCloseTo(0.48145466, 7);
  });

  it('is a rule on a score that the model does not give', async () => {
    const policy = [{ check: 'x', when: { measure: 'frist', above: 0.5 }, verdict: 'review' as const }];
    await expect(imported(meansModel(), { policy })).rejects.toThrow(
      /no score "frist" .* gives first, second, third/,
    );
  });

  it('is scaling by flags where the graph takes bytes', async () => {
    await expect(
      imported(meansModel({ dtype: 'uint8' }), { wishes: { ...PLAIN, scale: undefined, std: [2, 2, 2] } }),
    ).rejects.toThrow(/takes bytes \(uint8\) and scales them itself: leave --(mean|std) out/);
  });

  it('is the name of a built-in model', async () => {
    await expect(imported(meansModel(), { wishes: { ...PLAIN, name: 'quality' } })).rejects.toThrow(
      /"quality" is the name of a built-in model: pass another --name/,
    );
  });

  it('is a second model of the same name, unless it is forced', async () => {
    await using folder = await temporaryFolder();
    const path = await putModel(folder.path, meansModel());
    const request = { path, wishes: PLAIN, modelsFolder: folder.path, force: false, maxSecondsPerRun: 30 };
    const { folder: into } = await importModel(request);
    await expect(importModel(request)).rejects.toThrow(/there is a model at .* already/);
    await importModel({ ...request, force: true, wishes: { ...PLAIN, description: 'again' } });
    expect(await readFile(join(into, 'model.json'), 'utf8')).toContain('again');
  });
});

describe('what import assumes', () => {
  it('is that faithful pictures do, where nobody asks for exact ones', async () => {
    const told = await imported(meansModel(), { wishes: { ...PLAIN, fidelity: 'exact' } });
    expect(told.manifest.preprocess.fidelity).toBe('exact');
    expect((await imported(meansModel())).manifest.preprocess.fidelity).toBe('faithful');
  });

  it('is told in notes: softmax, made-up labels, an unknown licence', async () => {
    const { notes, manifest } = await imported(meansModel(), {
      wishes: { resize: { mode: 'squash' }, scale: 1 },
    });
    expect(manifest.outputs[0]).toMatchObject({
      decode: 'softmax',
      labels: ['class_0', 'class_1', 'class_2'],
    });
    expect(notes.join('\n')).toMatch(/no labels were given[\s\S]*softmax[\s\S]*no licence is known/);
  });

  it('is read off the graph where it can be: an output of Softmax is no logit', async () => {
    const bytes = singleImageModel((g, x) => {
      const means = g.node('ReduceMean', [x], { axes: [2, 3], keepdims: 0 });
      return g.node('Softmax', [means], { axis: 1 });
    });
    const { manifest } = await imported(bytes, { wishes: { resize: { mode: 'squash' }, scale: 1 / 255 } });
    expect(manifest.outputs[0]).toMatchObject({ decode: 'scores' });
  });
});
