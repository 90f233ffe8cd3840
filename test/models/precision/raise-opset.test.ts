import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type ModelProto,
  ModelProtoSchema,
} from '#models/onnx/generated/onnx_pb.js';
import { GraphBuilder, type Value } from '#models/onnx/graph-builder.ts';
import { raiseOpset } from '#models/precision/raise-opset.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const float = (value: number) => ({ float: value });

function modelOf(body: (g: GraphBuilder, x: Value) => Value): ModelProto {
  const g = new GraphBuilder('old', 9);
  const x = g.input('x', 'float32', [1, 2, 3, 4]);
  const y = body(g, x);
  g.output('y', 'float32', [], y);
  const model = fromBinary(ModelProtoSchema, g.toBytes());
  // The shape is for ONNX Runtime to infer.
  const type = model.graph!.output[0]!.type!.value;
  if (type.case === 'tensorType') delete type.value.shape;
  return model;
}

async function resultOf(model: ModelProto): Promise<{ shape: readonly number[]; values: number[] }> {
  await using folder = await temporaryFolder();
  const modelPath = join(folder.path, 'model.onnx');
  await writeFile(modelPath, toBinary(ModelProtoSchema, model));
  await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 1 });
  const data = Float32Array.from({ length: 24 }, (_, i) => Math.sin(i) * 2);
  const { y } = await engine.run({ x: { dtype: 'float32', shape: [1, 2, 3, 4], data } });
  return { shape: y!.shape, values: Array.from(y!.data as Float32Array) };
}

describe('a graph of opset 9 taken to opset 13', () => {
  it.each<[string, (g: GraphBuilder, x: Value) => Value]>([
    ['Clip', (g, x) => g.node('Clip', [x], { min: float(-0.5), max: float(1) })],
    ['Clip with one limit', (g, x) => g.node('Clip', [x], { max: float(1) })],
    ['Slice', (g, x) => g.node('Slice', [x], { axes: [2, 3], starts: [1, 0], ends: [3, -1] })],
    ['Slice of the first axes', (g, x) => g.node('Slice', [x], { starts: [0, 1], ends: [1, 2] })],
    ['Pad', (g, x) => g.node('Pad', [x], { pads: [0, 0, 1, 1, 0, 0, 0, 2], value: float(7) })],
    ['Unsqueeze', (g, x) => g.node('Unsqueeze', [x], { axes: [0] })],
    ['ReduceSum', (g, x) => g.node('ReduceSum', [x], { axes: [1], keepdims: 0 })],
    ['Split', (g, x) => g.nodes('Split', [x], 2, { axis: 3, split: [1, 3] })[1]!],
    ['Softmax over the last axis', (g, x) => g.node('Softmax', [x], { axis: 3 })],
    ['Softmax over the rest', (g, x) => g.node('Softmax', [x])],
    [
      'Squeeze',
      (g, x) =>
        g.node('Squeeze', [g.node('ReduceMean', [x], { axes: [1, 2], keepdims: 1 })], { axes: [1, 2] }),
    ],
  ])('gives the same: %s', async (_, body) => {
    const model = modelOf(body);
    const expected = await resultOf(model);
    raiseOpset(model);
    expect(Number(model.opsetImport[0]?.version)).toBe(13);
    const got = await resultOf(model);
    expect(got.shape).toEqual(expected.shape);
    for (const [i, value] of expected.values.entries()) expect(got.values[i]).toBeCloseTo(value, 5);
  });

  it('takes over an end that is the largest int64', async () => {
    const model = modelOf((g, x) => g.node('Slice', [x], { axes: [3], starts: [1], ends: [4] }));
    const ends = model.graph!.node[0]!.attribute.find(({ name }) => name === 'ends')!;
    ends.ints = [2n ** 63n - 1n];
    raiseOpset(model);
    expect((await resultOf(model)).shape).toEqual([1, 2, 3, 3]);
  });

  it('is refused where an operator means something else now', () => {
    const model = modelOf((g, x) => g.node('Upsample', [x, g.constant('float32', [4], [1, 1, 2, 2])]));
    expect(() => raiseOpset(model)).toThrow(
      /opset 9, and its node "Upsample_0" \(Upsample\) cannot be taken/,
    );
    const branch = modelOf((g, x) => g.node('Relu', [x]));
    branch.graph?.node[0]?.attribute.push(
      create(AttributeProtoSchema, { name: 'body', type: AttributeProto_AttributeType.GRAPH, g: {} }),
    );
    expect(() => raiseOpset(branch)).toThrow(/export it with opset 13 or newer/);
  });
});
