import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { type ModelProto, ModelProtoSchema, TensorProto_DataType } from '#models/onnx/generated/onnx_pb.js';
import { GraphBuilder } from '#models/onnx/graph-builder.ts';
import { toFp16 } from '#models/precision/to-fp16.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const SIDE = 8;
const IMAGES = 3;

/** Pixels → scaled → convolution → resized → mean of each channel, with what makes conversion hard. */
function model(): ModelProto {
  const g = new GraphBuilder('small', 17);
  const pixels = g.input('pixels', 'uint8', ['N', SIDE, SIDE, 3]);
  const floats = g.node('Cast', [g.node('Transpose', [pixels], { perm: [0, 3, 1, 2] })], { to: 1 });
  const scaled = g.node('Mul', [floats, g.constant('float32', [1], [1 / 255])]);
  const weights = Array.from({ length: 4 * 3 * 9 }, (_, i) => Math.sin(i) / 9);
  const features = g.node('Conv', [scaled, g.constant('float32', [4, 3, 3, 3], weights)], {
    pads: [1, 1, 1, 1],
  });
  // The scales of Resize are float32 whatever the rest is.
  const larger = g.node(
    'Resize',
    [features, '' as typeof features, g.constant('float32', [4], [1, 1, 2, 2])],
    {
      mode: 'nearest',
    },
  );
  const masked = g.node('Add', [larger, g.constant('float32', [1], [-1e-7])]);
  g.output('scores', 'float32', ['N', 4], g.node('ReduceMean', [masked], { axes: [2, 3], keepdims: 0 }));
  return fromBinary(ModelProtoSchema, g.toBytes());
}

async function scoresOf(bytes: Uint8Array): Promise<Float32Array> {
  await using folder = await temporaryFolder();
  const modelPath = join(folder.path, 'model.onnx');
  await writeFile(modelPath, bytes);
  await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: IMAGES });
  const data = Uint8Array.from({ length: IMAGES * SIDE * SIDE * 3 }, (_, i) => (i * 37) % 256);
  const { scores } = await engine.run({ pixels: { dtype: 'uint8', shape: [IMAGES, SIDE, SIDE, 3], data } });
  return scores?.data as Float32Array;
}

describe('a model in float16', () => {
  it('takes and gives what it did, to about three digits, with weights of half the size', async () => {
    const original = model();
    const half = toFp16(original);
    const expected = await scoresOf(toBinary(ModelProtoSchema, original));
    const got = await scoresOf(toBinary(ModelProtoSchema, half));
    expect(got).toHaveLength(expected.length);
    for (const [i, value] of expected.entries()) expect(got[i]).toBeCloseTo(value, 2);
    expect([...got]).not.toEqual([...expected]);
    const types = half.graph?.initializer.map(({ dataType }) => dataType) ?? [];
    expect(types.filter((type) => type === TensorProto_DataType.FLOAT)).toHaveLength(1);
    expect(types.filter((type) => type === TensorProto_DataType.FLOAT16)).toHaveLength(3);
  });

  it('leaves the model that it was made of as it was', () => {
    const original = model();
    const before = toBinary(ModelProtoSchema, original);
    toFp16(original);
    expect(toBinary(ModelProtoSchema, original)).toEqual(before);
  });

  it('is made of weights that are stored as integers, too', async () => {
    const g = new GraphBuilder('integers', 17);
    const pixels = g.input('pixels', 'uint8', ['N', SIDE, SIDE, 3]);
    const floats = g.node('Cast', [pixels], { to: 1 });
    const mean = g.node('ReduceMean', [floats], { axes: [1, 2], keepdims: 0 });
    const stored = g.constant('uint8', [3, 2], [0, 255, 100, 7, 128, 64]);
    const weights = g.node(
      'DequantizeLinear',
      [stored, g.constant('float32', [2], [0.01, 0.02]), g.constant('uint8', [2], [128, 3])],
      { axis: 1 },
    );
    g.output('scores', 'float32', ['N', 2], g.node('MatMul', [mean, weights]));
    const bytes = g.toBytes();
    const half = toFp16(fromBinary(ModelProtoSchema, bytes));
    expect(half.graph?.node.map(({ opType }) => opType)).not.toContain('DequantizeLinear');
    const [expected, got] = [await scoresOf(bytes), await scoresOf(toBinary(ModelProtoSchema, half))];
    for (const [i, value] of expected.entries())
      expect(Math.abs((got[i] as number) - value)).toBeLessThan(0.01 * Math.abs(value) + 0.5);
  });

  it('is refused where activations are quantized', () => {
    const g = new GraphBuilder('quantized', 17);
    const x = g.input('x', 'float32', ['N', 4]);
    const q = g.node('QuantizeLinear', [x, g.constant('float32', [], [0.1]), g.constant('uint8', [], [0])]);
    const y = g.node('DequantizeLinear', [q, g.constant('float32', [], [0.1]), g.constant('uint8', [], [0])]);
    g.output('y', 'float32', ['N', 4], y);
    expect(() => toFp16(fromBinary(ModelProtoSchema, g.toBytes()))).toThrow(/QuantizeLinear/);
  });
});
