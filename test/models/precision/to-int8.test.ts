import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import {
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
} from '#models/onnx/generated/onnx_pb.js';
import { GraphBuilder, type Value } from '#models/onnx/graph-builder.ts';
import { quantizationOf, TARGETS } from '#models/precision/calibration/quantization.ts';
import { expectedShift } from '#models/precision/expected-shift.ts';
import { planQuantization } from '#models/precision/quantization-plan.ts';
import { quantizeWeights } from '#models/precision/quantize-weights.ts';
import { toInt8 } from '#models/precision/to-int8.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const SIDE = 8;
const IMAGES = 3;
const RANGE = { min: -3, max: 3 };

/** Pixels → scaled → two convolutions with ReLU and a shortcut around the second → mean → Gemm → Softmax. */
function residualModel(): ModelProto {
  const g = new GraphBuilder('residual', 13);
  const scaled = scaledPixels(g);
  const first = g.node('Relu', [conv(g, scaled, 3, 4, 1)]);
  const sum = g.node('Add', [first, conv(g, first, 4, 4, 2)]);
  const third = g.node('Relu', [conv(g, sum, 4, 4, 3)]);
  const means = g.node('Flatten', [g.node('GlobalAveragePool', [third])]);
  const weights = g.constant('float32', [4, 3], numbers(12, 4));
  const logits = g.node('Gemm', [means, weights, g.constant('float32', [3], [0.1, 0.2, 0.3])]);
  g.output('scores', 'float32', ['N', 3], g.node('Softmax', [logits], { axis: 1 }));
  return fromBinary(ModelProtoSchema, g.toBytes());
}

/** The input: pixels as floats from 0 to 1, channels first. */
function scaledPixels(g: GraphBuilder): Value {
  const pixels = g.input('pixels', 'uint8', ['N', SIDE, SIDE, 3]);
  const floats = g.cast(g.node('Transpose', [pixels], { perm: [0, 3, 1, 2] }), 'float32');
  return g.node('Mul', [floats, g.constant('float32', [1], [1 / 255])]);
}

function conv(g: GraphBuilder, x: Value, from: number, to: number, seed: number): Value {
  const weights = g.constant('float32', [to, from, 3, 3], numbers(to * from * 9, seed));
  return g.node('Conv', [x, weights, g.constant('float32', [to], numbers(to, seed + 10))], {
    pads: [1, 1, 1, 1],
  });
}

function numbers(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + seed) / 3);
}

function quantized(model: ModelProto, target: (typeof TARGETS)[number], keepFloat?: Set<string>): ModelProto {
  const { activations } = planQuantization(model.graph!, target);
  const ranges = new Map(activations.map((name) => [name, quantizationOf(RANGE, 3, target)]));
  return toInt8(model, { target, ranges, ...(keepFloat && { keepFloat }) });
}

async function scoresOf(model: ModelProto): Promise<Float32Array> {
  await using folder = await temporaryFolder();
  const modelPath = join(folder.path, 'model.onnx');
  await writeFile(modelPath, toBinary(ModelProtoSchema, model));
  await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: IMAGES });
  const data = Uint8Array.from({ length: IMAGES * SIDE * SIDE * 3 }, (_, i) => (i * 37) % 256);
  const { scores } = await engine.run({ pixels: { dtype: 'uint8', shape: [IMAGES, SIDE, SIDE, 3], data } });
  return scores?.data as Float32Array;
}

const countOf = (model: ModelProto, wanted: string): number =>
  model.graph?.node.filter(({ opType }) => opType === wanted).length ?? 0;

describe.each(TARGETS)('a model in QDQ form for a %s', (target) => {
  it('gives nearly the scores of the float model, with weights of 8 bits', async () => {
    const model = residualModel();
    const int8 = quantized(model, target);
    const [expected, got] = [await scoresOf(model), await scoresOf(int8)];
    expect(got).toHaveLength(expected.length);
    for (const [i, value] of expected.entries()) expect(Math.abs(got[i]! - value)).toBeLessThan(0.02);
    expect([...got]).not.toEqual([...expected]);
    const eightBits = int8.graph?.initializer.filter(
      ({ dataType, dims }) => dataType === TensorProto_DataType.INT8 && dims.length > 1,
    );
    expect(eightBits).toHaveLength(4);
  });

  it('leaves the model that it was made of as it was', () => {
    const model = residualModel();
    const before = toBinary(ModelProtoSchema, model);
    quantized(model, target);
    expect(toBinary(ModelProtoSchema, model)).toEqual(before);
  });

  it('keeps the layers float that are named', async () => {
    const model = residualModel();
    const names = planQuantization(model.graph!, target).layers.map(({ node }) => node.output[0] as string);
    const same = quantized(model, target, new Set(names));
    expect(countOf(same, 'QuantizeLinear')).toBe(0);
    expect([...(await scoresOf(same))]).toEqual([...(await scoresOf(model))]);
    const two = quantized(model, target, new Set(names.slice(0, 2)));
    expect(countOf(two, 'QuantizeLinear')).toBeLessThan(countOf(quantized(model, target), 'QuantizeLinear'));
    await scoresOf(two);
  });
});

/**
 * Pairs of products in 16 bits would overflow at 2 · 255 · 127. Processors with 8-bit dot products (VNNI) pass this in any case;
 * others only where the session asks for kernels that are exact.
 */
describe('a convolution on integers', () => {
  it.each([
    ['1 × 1', { inputs: 32, kernel: 1, group: 1 }],
    ['3 × 3', { inputs: 16, kernel: 3, group: 1 }],
    ['3 × 3 in groups', { inputs: 32, kernel: 3, group: 4 }],
    ['3 × 3 depthwise', { inputs: 16, kernel: 3, group: 16 }],
  ])(
    'of %s adds up the largest products there are without overflow',
    async (_, { inputs, kernel, group }) => {
      const products = (inputs / group) * kernel ** 2;
      // The first layer's weights are 127 / 127, and the second one, which is the last, adds up its channels as they are.
      const g = new GraphBuilder('large', 13);
      const ones = (dims: number[]): Value =>
        g.constant('float32', dims, Array(dims.reduce((a, b) => a * b)).fill(1));
      const pixels = g.input('pixels', 'uint8', ['N', inputs, kernel, kernel]);
      const scaled = g.node('Mul', [g.cast(pixels, 'float32'), g.constant('float32', [1], [1 / 255])]);
      const first = g.node('Conv', [scaled, ones([inputs, inputs / group, kernel, kernel])], { group });
      g.output('scores', 'float32', ['N', 1, 1, 1], g.node('Conv', [first, ones([1, inputs, 1, 1])]));
      const model = fromBinary(ModelProtoSchema, g.toBytes());
      const ranges = new Map(
        planQuantization(model.graph!, 'cpu').activations.map((name) => {
          const max = name === scaled ? 1 : products;
          return [name, quantizationOf({ min: 0, max }, max, 'cpu')];
        }),
      );
      await using folder = await temporaryFolder();
      const modelPath = join(folder.path, 'model.onnx');
      await writeFile(modelPath, toBinary(ModelProtoSchema, toInt8(model, { target: 'cpu', ranges })));
      await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 1 });
      const data = new Uint8Array(inputs * kernel ** 2).fill(255);
      const shape = [1, inputs, kernel, kernel];
      const { scores } = await engine.run({ pixels: { dtype: 'uint8', shape, data } });
      expect((scores?.data[0] as number) / (inputs * products)).toBeCloseTo(1, 3);
    },
  );
});

describe('what is quantized', () => {
  const planned = (target: (typeof TARGETS)[number]) => {
    const { graph } = residualModel();
    const { activations, layers } = planQuantization(graph!, target);
    const producer = (name: string) => graph!.node.find(({ output }) => output.includes(name))?.opType;
    return { producers: activations.map(producer), layers };
  };

  it('for a GPU are the inputs of layers and the shortcut, but not what a convolution adds to', () => {
    // The Mul of the pixels, the ReLU that is the second layer's input and the shortcut, and the sum.
    expect(planned('gpu').producers).toEqual(['Mul', 'Relu', 'Add']);
  });

  it('for a CPU is also what layers give', () => {
    expect(planned('cpu').producers).toEqual(['Mul', 'Relu', 'Conv', 'Add', 'Relu']);
  });

  it('of the last layer is only the weights', () => {
    const { layers } = planned('gpu');
    expect(layers.map(({ node, isWeightOnly }) => [node.opType, isWeightOnly])).toEqual([
      ['Conv', false],
      ['Conv', false],
      ['Conv', false],
      ['Gemm', true],
    ]);
  });

  it('leaves no ReLU for a CPU where integers end at zero themselves', () => {
    const model = residualModel();
    const { activations } = planQuantization(model.graph!, 'cpu');
    const ranges = new Map(activations.map((name) => [name, quantizationOf({ min: 0, max: 3 }, 3, 'cpu')]));
    expect(countOf(toInt8(model, { target: 'cpu', ranges }), 'Relu')).toBe(0);
    expect(countOf(quantized(model, 'cpu'), 'Relu')).toBe(2);
  });
});

function tensor(dims: number[], values: number[]) {
  return create(TensorProtoSchema, {
    name: 'w',
    dims: dims.map(BigInt),
    dataType: TensorProto_DataType.FLOAT,
    rawData: new Uint8Array(Float32Array.from(values).buffer),
  });
}

describe('a zero point that biases take in', () => {
  /** 3 × 3 → ReLU → 1 × 1 with or without a border of zeros → ReLU → the last layer. */
  const chain = (pad: number): ModelProto => {
    const g = new GraphBuilder('chain', 13);
    const scaled = scaledPixels(g);
    const first = g.node('Relu', [conv(g, scaled, 3, 4, 1)]);
    const weights = g.constant('float32', [4, 4, 1, 1], numbers(16, 2));
    const second = g.node('Conv', [first, weights], { pads: [pad, pad, pad, pad] });
    const third = conv(g, g.node('Relu', [second]), 4, 3, 3);
    g.output('scores', 'float32', ['N', 3, 1, 1], g.node('GlobalAveragePool', [third]));
    return fromBinary(ModelProtoSchema, g.toBytes());
  };
  const rangesOf = (model: ModelProto, isAbsorbed: boolean) => {
    const { activations, absorbed } = planQuantization(model.graph!, 'gpu');
    return new Map(
      activations.map((name) => [name, quantizationOf(RANGE, 3, 'gpu', isAbsorbed && absorbed.has(name))]),
    );
  };
  const errorOf = (got: Float32Array, expected: Float32Array): number =>
    Math.max(...expected.map((value, i) => Math.abs(value - got[i]!)));

  it('leaves integers around zero, no ReLU, and scores nearer to those of the float model', async () => {
    const model = chain(0);
    const made = toInt8(model, { target: 'gpu', ranges: rangesOf(model, true) });
    expect(countOf(made, 'Relu')).toBe(1);
    for (const { input } of made.graph!.node.filter(({ opType }) => opType === 'QuantizeLinear')) {
      const zero = made.graph!.initializer.find(({ name }) => name === input[2]);
      expect([...zero!.rawData]).toEqual([0]);
    }
    const around = toInt8(model, { target: 'gpu', ranges: rangesOf(model, false) });
    expect(countOf(around, 'Relu')).toBe(2);
    const expected = await scoresOf(model);
    const [finer, coarser] = [
      errorOf(await scoresOf(made), expected),
      errorOf(await scoresOf(around), expected),
    ];
    expect(finer).toBeLessThan(coarser);
  });

  it('is not had where zeros are padded, or the last layer reads the value', () => {
    const valuesOf = (pad: number) => [...planQuantization(chain(pad).graph!, 'gpu').absorbed.keys()];
    expect(valuesOf(0)).toHaveLength(1);
    expect(valuesOf(1)).toEqual([]);
    expect(planQuantization(chain(0).graph!, 'cpu').absorbed.size).toBe(0);
  });

  it('is given up where a layer beside it stays float', async () => {
    const model = chain(0);
    const ranges = rangesOf(model, true);
    const expected = await scoresOf(model);
    const { layers } = planQuantization(model.graph!, 'gpu');
    for (const { node } of layers.slice(0, 2)) {
      const made = toInt8(model, { target: 'gpu', ranges, keepFloat: new Set(node.output) });
      expect(countOf(made, 'Relu')).toBe(2);
      expect(errorOf(await scoresOf(made), expected)).toBeLessThan(0.02);
    }
  });
});

describe('a Clip', () => {
  /** Two convolutions, behind the first the range of simulated integers, behind the second a ReLU6. */
  const clippedModel = (): ModelProto => {
    const g = new GraphBuilder('clipped', 13);
    const scaled = scaledPixels(g);
    const clipped = (x: Value, low: number, high: number): Value =>
      g.node('Clip', [x, g.constant('float32', [], [low]), g.constant('float32', [], [high])]);
    const first = clipped(conv(g, scaled, 3, 4, 1), -30, 30);
    const second = clipped(conv(g, first, 4, 4, 2), 0, 6);
    const third = clipped(conv(g, second, 4, 3, 3), -30, 30);
    g.output('scores', 'float32', ['N', 3, 1, 1], g.node('GlobalAveragePool', [third]));
    return fromBinary(ModelProtoSchema, g.toBytes());
  };

  it('that reaches below zero is gone for a GPU, but behind the last layer, and scores are nearly the same', async () => {
    const model = clippedModel();
    const derived = quantized(model, 'gpu');
    expect(countOf(model, 'Clip')).toBe(3);
    expect(countOf(derived, 'Clip')).toBe(2);
    const [expected, got] = [await scoresOf(model), await scoresOf(derived)];
    for (const [i, score] of expected.entries())
      expect(Math.abs((got[i] as number) - score)).toBeLessThan(0.03);
  });
});

describe('weights of 8 bits', () => {
  it('have a scale for each output channel: its largest magnitude is 127', () => {
    const { values, scales } = quantizeWeights(tensor([2, 2, 1, 1], [1.27, -0.633, -12.7, 3.17]), 0);
    expect([...values]).toEqual([127, -63, -127, 32]);
    expect([...scales].map((scale) => Number(scale.toFixed(6)))).toEqual([0.01, 0.1]);
    // The channels of MatMul are columns.
    expect([...quantizeWeights(tensor([2, 2], [1.27, -0.633, -0.333, 3.17]), 1).values]).toEqual([
      127, -25, -33, 127,
    ]);
  });

  it('that were integers before are those integers again', () => {
    const integers = [-100, 3, 77, 0, 12, -1, 5, 9];
    const { values } = quantizeWeights(
      tensor(
        [2, 4],
        integers.map((k) => k * 0.037),
      ),
      0,
    );
    expect([...values]).toEqual(integers);
  });

  it('are coarser where the bias would not fit otherwise', () => {
    const bias = { values: Float32Array.of(100), inputScale: 0.01 };
    const { scales, values } = quantizeWeights(tensor([1, 1, 1, 1], [1e-9]), 0, bias);
    expect(100 / (scales[0]! * 0.01)).toBeLessThanOrEqual(2 ** 30 + 1000);
    expect([...values]).toEqual([0]);
  });

  it('of zeros are zeros', () => {
    expect([...quantizeWeights(tensor([1, 2], [0, 0]), 0).values]).toEqual([0, 0]);
  });
});

describe('the shift of a channel', () => {
  const layerOf = (dims: number[], values: number[], axis: number, attributes: Record<string, number>) => {
    const g = new GraphBuilder('one', 13);
    const x = g.input('x', 'float32', ['N', 2, 1, 1]);
    const opType = dims.length === 4 ? 'Conv' : 'Gemm';
    g.output('y', 'float32', ['N', 2], g.node(opType, [x, g.constant('float32', dims, values)], attributes));
    const [node] = fromBinary(ModelProtoSchema, g.toBytes()).graph!.node;
    return { node: node!, weights: tensor(dims, values), axis, isWeightOnly: false };
  };
  const means = { means: Float64Array.of(2, 10), shifts: Float64Array.of(0.5, -1) };
  // (Wq − W)·E[x] + Wq·E[xq − x], Wq = W + 0.1.
  const quantizedOf = (values: number[]) => Float32Array.from(values, (value) => value + 0.1);

  it.each([
    ['a convolution', [2, 2, 1, 1], [1, 2, 3, 4], 0, {}, [0.2 + 0.55 + 1 - 2.1, 0.2 + 1.55 + 1 - 4.1]],
    ['a depthwise one', [2, 1, 1, 1], [1, 2], 0, { group: 2 }, [0.2 + 0.55, 1 - 2.1]],
    ['a Gemm', [2, 2], [1, 3, 2, 4], 1, {}, [0.2 + 0.55 + 1 - 2.1, 0.2 + 1.55 + 1 - 4.1]],
  ])('of %s is that of its weights and that of its inputs', (_, dims, values, axis, attributes, expected) => {
    const shifts = expectedShift(layerOf(dims, values, axis, attributes), quantizedOf(values), means);
    for (const [i, shift] of shifts.entries()) expect(shift).toBeCloseTo(expected[i]!, 4);
  });
});
