import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clone, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { type ModelProto, ModelProtoSchema } from '#models/onnx/generated/onnx_pb.js';
import { GraphBuilder, type Value } from '#models/onnx/graph-builder.ts';
import { channelGroups } from '#models/precision/channel-groups.ts';
import { channelFactors, equalizeChannels } from '#models/precision/equalize-channels.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const SIDE = 6;

interface ConvOptions {
  readonly from: number;
  readonly to: number;
  readonly group?: number;
  readonly kernel?: number;
  readonly hasBias?: boolean;
}

function numbers(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + seed) / 3);
}

function conv(g: GraphBuilder, x: Value, seed: number, options: ConvOptions): Value {
  const { from, to, group = 1, kernel = 1, hasBias = true } = options;
  const weights = g.constant(
    'float32',
    [to, from / group, kernel, kernel],
    numbers((to * from * kernel ** 2) / group, seed),
  );
  const bias = hasBias ? [g.constant('float32', [to], numbers(to, seed + 50))] : [];
  const pad = (kernel - 1) / 2;
  return g.node('Conv', [x, weights, ...bias], { group, pads: [pad, pad, pad, pad] });
}

/** An input of four channels, what stands between the convolutions, and a sum as output. */
function model(body: (g: GraphBuilder, x: Value) => Value, channels: number): ModelProto {
  const g = new GraphBuilder('channels', 13);
  const x = g.input('x', 'float32', ['N', 4, SIDE, SIDE]);
  g.output('y', 'float32', ['N', channels, SIDE, SIDE], body(g, x));
  return fromBinary(ModelProtoSchema, g.toBytes());
}

const clip = (g: GraphBuilder, x: Value): Value =>
  g.node('Clip', [x, g.constant('float32', [], [0]), g.constant('float32', [], [6])]);

async function outputOf(made: ModelProto): Promise<Float32Array> {
  await using folder = await temporaryFolder();
  const modelPath = join(folder.path, 'model.onnx');
  await writeFile(modelPath, toBinary(ModelProtoSchema, made));
  await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 1 });
  const data = Float32Array.from({ length: 4 * SIDE * SIDE }, (_, i) => Math.sin(i * 0.9) / 2);
  const { y } = await engine.run({ x: { dtype: 'float32', shape: [1, 4, SIDE, SIDE], data } });
  return y?.data as Float32Array;
}

/** As if the largest magnitudes of channels were 3, 1.5, 0.75, 0.375, and so on again. */
function equalized(original: ModelProto): { made: ModelProto; factors: number[][] } {
  const made = clone(ModelProtoSchema, original);
  const extents = new Map(
    channelGroups(made.graph!).flatMap(({ values, channels }) =>
      [...values].map((name) => [
        name,
        { largest: Float64Array.from({ length: channels }, (_, c) => 3 * 2 ** -(c % 4)) },
      ]),
    ),
  );
  const factors = channelFactors(made.graph!, extents);
  equalizeChannels(made.graph!, factors);
  return { made, factors: [...factors.values()].map((one) => [...one]) };
}

const NETS: [string, ModelProto][] = [
  [
    'Relu',
    model(
      (g, x) =>
        conv(g, g.node('Relu', [conv(g, x, 1, { from: 4, to: 6, kernel: 3 })]), 2, {
          from: 6,
          to: 3,
          kernel: 3,
        }),
      3,
    ),
  ],
  [
    'nothing between, and no biases',
    model(
      (g, x) =>
        conv(g, conv(g, x, 3, { from: 4, to: 6, hasBias: false }), 4, { from: 6, to: 3, hasBias: false }),
      3,
    ),
  ],
  [
    'a depthwise convolution with Clip on both sides',
    model((g, x) => {
      const expanded = clip(g, conv(g, x, 5, { from: 4, to: 8 }));
      const deep = clip(g, conv(g, expanded, 6, { from: 8, to: 8, group: 8, kernel: 3 }));
      return conv(g, deep, 7, { from: 8, to: 3 });
    }, 3),
  ],
  [
    'a convolution in groups',
    model(
      (g, x) =>
        conv(g, g.node('Relu', [conv(g, x, 8, { from: 4, to: 6 })]), 9, {
          from: 6,
          to: 4,
          group: 2,
          kernel: 3,
        }),
      4,
    ),
  ],
  [
    'a shortcut, whose summands have the same factors',
    model((g, x) => {
      const first = conv(g, x, 10, { from: 4, to: 6 });
      const sum = g.node('Add', [first, conv(g, g.node('Relu', [first]), 11, { from: 6, to: 6, kernel: 3 })]);
      return conv(g, sum, 12, { from: 6, to: 3 });
    }, 3),
  ],
];

describe('channels that are made equal', () => {
  it.each(NETS)('leave the results as they are: %s', async (_, original) => {
    const { made, factors } = equalized(original);
    expect(Math.max(...factors.flat())).toBeGreaterThan(1.5);
    expect(toBinary(ModelProtoSchema, made)).not.toEqual(toBinary(ModelProtoSchema, original));
    const [expected, got] = [await outputOf(original), await outputOf(made)];
    for (const [i, value] of expected.entries()) expect(got[i]).toBeCloseTo(value, 5);
  });

  it('have the same extent where only depthwise convolutions take them, and go half of the way elsewhere', () => {
    const net = model((g, x) => {
      const deep = conv(g, conv(g, x, 1, { from: 4, to: 4 }), 2, { from: 4, to: 4, group: 4, kernel: 3 });
      return conv(g, deep, 3, { from: 4, to: 3 });
    }, 3);
    expect(equalized(net).factors).toEqual([[1, 2, 4, 8], [1, 2, 4, 8].map(Math.sqrt)]);
  });

  it('stay half a Clip away from its limit', () => {
    const net = model(
      (g, x) =>
        conv(g, clip(g, conv(g, x, 1, { from: 4, to: 4 })), 2, { from: 4, to: 4, group: 4, kernel: 3 }),
      4,
    );
    const { graph } = net;
    const [group] = channelGroups(graph!);
    const largest = Float64Array.of(8, 4, 1.5, 0);
    const extents = new Map([...group!.values].map((name) => [name, { largest }]));
    // One that reaches the limit, one that is too near to it, one that may become twice as large, one that is not there.
    expect([...channelFactors(graph!, extents).values()].map((one) => [...one])).toEqual([[1, 1, 2, 1]]);
  });
});

describe('channels that stay as they are', () => {
  const untouched: [string, ModelProto][] = [
    ['those that are an output', model((g, x) => conv(g, x, 1, { from: 4, to: 4 }), 4)],
    [
      'those that something else reads',
      model((g, x) => {
        const first = conv(g, x, 1, { from: 4, to: 4 });
        return g.node('Mul', [g.node('Sigmoid', [first]), conv(g, first, 2, { from: 4, to: 4 })]);
      }, 4),
    ],
    [
      'those whose sum has a constant in it',
      model((g, x) => {
        const sum = g.node('Add', [conv(g, x, 1, { from: 4, to: 4 }), g.constant('float32', [1], [1])]);
        return conv(g, sum, 2, { from: 4, to: 4 });
      }, 4),
    ],
    [
      'those that go to weights which were integers before',
      model((g, x) => {
        const integers = g.constant(
          'float32',
          [2, 4, 1, 1],
          [1, -3, 100, 7, 9, 64, -127, 2].map((k) => k * 0.037),
        );
        return g.node('Conv', [conv(g, x, 1, { from: 4, to: 4 }), integers]);
      }, 2),
    ],
  ];
  it.each(untouched)('are %s', (_, original) => {
    const { made, factors } = equalized(original);
    expect(factors).toEqual([]);
    expect(toBinary(ModelProtoSchema, made)).toEqual(toBinary(ModelProtoSchema, original));
  });
});
