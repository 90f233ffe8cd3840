import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
} from '#models/onnx/generated/onnx_pb.js';
import { type Dimension, type Dtype, GraphBuilder, type Value } from '#models/onnx/graph-builder.ts';

/** Models of a few nodes. */
export const OPSET = 13;
export const SIDE_PX = 8;
export const PIXELS = SIDE_PX * SIDE_PX;

export interface TinyOptions {
  readonly layout?: 'nchw' | 'nhwc';
  readonly dtype?: Extract<Dtype, 'float32' | 'float16' | 'uint8'>;
  readonly batch?: Dimension;
  /** A name stands for sides of any length. */
  readonly sidePx?: Dimension;
}

/**
 * A model whose three scores are the means of its input's channels, so that they tell what its input was.
 */
export function meansModel({
  layout = 'nchw',
  dtype = 'float32',
  batch = 'N',
  sidePx = SIDE_PX,
}: TinyOptions = {}): Uint8Array {
  const g = new GraphBuilder('means', OPSET);
  const shape = layout === 'nchw' ? [batch, 3, sidePx, sidePx] : [batch, sidePx, sidePx, 3];
  const x = g.input('x', dtype, shape);
  const values = dtype === 'uint8' ? g.cast(x, 'float32') : x;
  const axes = layout === 'nchw' ? [2, 3] : [1, 2];
  g.output(
    'y',
    dtype === 'float16' ? 'float16' : 'float32',
    [batch, 3],
    g.node('ReduceMean', [values], { axes, keepdims: 0 }),
  );
  return g.toBytes();
}

/** A model that ONNX Runtime takes, and that fails on every run: no reshaping comes to seven rows. */
export function unshapelyModel(): Uint8Array {
  const g = new GraphBuilder('unshapely', OPSET);
  const x = g.input('x', 'float32', ['N', 3, SIDE_PX, SIDE_PX]);
  const rows = g.node('Reshape', [x, g.ints(7, -1)]);
  g.output('y', 'float32', ['N', 3], rows);
  return g.toBytes();
}

/**
 * A detector that finds two things in any picture: scores `[N, 2, 1]`, 0.9 and 0.26 times `factor`, and boxes `[N, 2, 4]`
 * as left, top, right, bottom in shares of its input.
 */
export function twoBoxesModel(
  dtype: 'float32' | 'uint8',
  shape: readonly Dimension[],
  factor = 1,
): Uint8Array {
  const g = new GraphBuilder('two-boxes', OPSET);
  const pixels = g.cast(g.input('pixels', dtype, shape), 'float32');
  const means = g.node('ReduceMean', [pixels], { axes: [1, 2, 3], keepdims: 0 });
  const zero = g.node('Mul', [means, g.constant('float32', [1], [0])]);
  const nothing = g.node('Reshape', [zero, g.constant('int64', [3], [-1, 1, 1])]);
  // Import takes scores for probabilities where the graph ends in what makes them.
  const logits = [0.9, 0.26].map((score) => Math.log((score * factor) / (1 - score * factor)));
  const scores = g.constant('float32', [1, 2, 1], logits);
  const boxes = g.constant('float32', [1, 2, 4], [0.1, 0.2, 0.4, 0.4, 0.6, 0.2, 0.8, 0.4]);
  g.output('scores', 'float32', ['N', 2, 1], g.node('Sigmoid', [g.node('Add', [scores, nothing])]));
  g.output('boxes', 'float32', ['N', 2, 4], g.node('Add', [boxes, nothing]));
  return g.toBytes();
}

/** A model of fixed batch 1; `body` makes `[1, 3]` of the input `[1, 3, SIDE_PX, SIDE_PX]`. */
export function singleImageModel(body: (g: GraphBuilder, x: Value) => Value): Uint8Array {
  const g = new GraphBuilder('single', OPSET);
  const x = g.input('x', 'float32', [1, 3, SIDE_PX, SIDE_PX]);
  g.output('y', 'float32', [1, 3], body(g, x));
  return g.toBytes();
}

/**
 * A model that gives the means of its channels, or loops for ever and cannot be stopped from JavaScript: on any input,
 * or on batches with an image whose first channel has a mean above `above`.
 */
export function endlessModel(options: { prepared?: boolean; above?: number } = {}): Uint8Array {
  const g = new GraphBuilder('endless', OPSET);
  // As import would have it: bytes, the channels last.
  const x = options.prepared
    ? g.cast(
        g.node('Transpose', [g.input('x', 'uint8', ['N', SIDE_PX, SIDE_PX, 3])], { perm: [0, 3, 1, 2] }),
        'float32',
      )
    : g.input('x', 'float32', ['N', 3, SIDE_PX, SIDE_PX]);
  const means = g.node('ReduceMean', [x], { axes: [2, 3], keepdims: 0 });
  const rounds = g.constant('int64', [], [Number.MAX_SAFE_INTEGER]);
  const go = options.above === undefined ? g.constant('bool', [], [1]) : anyAbove(g, means, options.above);
  g.output('y', 'float32', ['N', 3], g.node('Loop', [rounds, go, means]));
  return changed(g.toBytes(), (model) => {
    const node = (opType: string, input: string[], output: string) =>
      create(NodeProtoSchema, { opType, name: output, input, output: [output] });
    const body = create(GraphProtoSchema, {
      name: 'body',
      node: [node('Identity', ['go_in'], 'go_out'), node('Neg', ['v_in'], 'v_out')],
      // int64, bool and float32.
      input: [value('i', 7, 0), value('go_in', 9, 0), value('v_in', 1, 2)],
      output: [value('go_out', 9, 0), value('v_out', 1, 2)],
    });
    const loop = model.graph?.node.find(({ opType }) => opType === 'Loop');
    loop?.attribute.push(
      create(AttributeProtoSchema, { name: 'body', type: AttributeProto_AttributeType.GRAPH, g: body }),
    );
  });
}

function anyAbove(g: GraphBuilder, means: Value, level: number): Value {
  const first = g.node('Slice', [means, g.ints(0), g.ints(1), g.ints(1)]);
  return g.node('Greater', [g.node('ReduceMax', [first], { keepdims: 0 }), g.float(level)]);
}

function value(name: string, elemType: number, rank: number) {
  const dim = Array.from({ length: rank }, (_, i) => ({
    value: { case: 'dimParam' as const, value: `d${i}` },
  }));
  return { name, type: { value: { case: 'tensorType' as const, value: { elemType, shape: { dim } } } } };
}

/** The same model with something changed that the builder has no words for. */
export function changed(bytes: Uint8Array, change: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  change(model);
  return toBinary(ModelProtoSchema, model);
}

/** Writes a model into a folder. @returns its path. */
export async function putModel(folder: string, bytes: Uint8Array, name = 'tiny.onnx'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}
