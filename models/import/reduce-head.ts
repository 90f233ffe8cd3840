import type { Reduced } from '#core/model-manifest.ts';
import { type GraphProto, type NodeProto, TensorProto_DataType } from '#models/onnx/generated/onnx_pb.js';
import { addFloats, addInts, newNode } from './graph-constants.ts';
import { freeName } from './graph-walk.ts';

/** From these opsets on, Slice, ReduceSum and ReduceMax take as inputs what were attributes before. */
const SLICE_INPUTS = 10;
const REDUCE_SUM_INPUTS = 13;
const REDUCE_MAX_INPUTS = 18;

/**
 * Picks the best class of each anchor inside the graph: of 85 numbers an anchor, 6 leave it, and reading the rest in
 * JavaScript would take longer than the model on a GPU.
 *
 * @param value the head's float32 output.
 * @returns the value float32 `[N, anchors, 6]`: the box's four numbers as they were, the best score (times the
 * objectness, where there is one) and the number of its class.
 */
export function reduceHead(
  graph: GraphProto,
  opset: number,
  value: string,
  { kind, classes }: Reduced,
): string {
  const axis = kind === 'yolo-v8' ? 1 : 2;
  const first = kind === 'yolo-v8' ? 4 : 5;
  const base = freeName(graph, `${value}_anchors`);
  const add = (node: NodeProto): string => {
    graph.node.push(node);
    return node.output[0] as string;
  };
  const slice = (name: string, from: number, to: number): string => {
    if (opset < SLICE_INPUTS)
      return add(newNode('Slice', [value], `${base}_${name}`, { axes: [axis], starts: [from], ends: [to] }));
    const bounds = [[from], [to], [axis]].map((ints, i) => addInts(graph, `${base}_${name}_${i}`, ints));
    return add(newNode('Slice', [value, ...bounds], `${base}_${name}`));
  };
  const reduced = (opType: string, from: string, sinceInputs: number): string =>
    opset < sinceInputs
      ? add(newNode(opType, [from], `${base}_${opType}`, { axes: [axis], keepdims: 1 }))
      : add(
          newNode(opType, [from, addInts(graph, `${base}_axis`, [axis])], `${base}_${opType}`, {
            keepdims: 1,
          }),
        );

  const scores = slice('scores', first, first + classes);
  const best = reduced('ReduceMax', scores, REDUCE_MAX_INPUTS);
  // A maximum may pass over NaN, a sum does not: 0 · sum is NaN where any score is, else 0.
  const sum = reduced('ReduceSum', scores, REDUCE_SUM_INPUTS);
  const zero = addFloats(graph, `${base}_zero`, [1], [0]);
  let score = add(
    newNode('Add', [best, add(newNode('Mul', [sum, zero], `${base}_nothing`))], `${base}_score`),
  );
  if (first === 5) score = add(newNode('Mul', [score, slice('objectness', 4, 5)], `${base}_product`));
  const index = add(newNode('ArgMax', [scores], `${base}_index`, { axis, keepdims: 1 }));
  const label = add(newNode('Cast', [index], `${base}_class`, { to: TensorProto_DataType.FLOAT }));
  const parts = [slice('boxes', 0, 4), score, label];
  if (kind !== 'yolo-v8') return add(newNode('Concat', parts, base, { axis }));
  const across = add(newNode('Concat', parts, `${base}_across`, { axis }));
  return add(newNode('Transpose', [across], base, { perm: [0, 2, 1] }));
}
