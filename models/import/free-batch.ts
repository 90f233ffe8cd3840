import type { GraphProto, NodeProto } from '#models/onnx/generated/onnx_pb.js';
import { addInts, constantsOf, int64Values, newNode } from './graph-constants.ts';
import { freeName, readsOf } from './graph-walk.ts';

/** Slice takes its bounds as inputs from this opset on. */
const SLICE_INPUTS = 10;

/** Operators whose result tells of a value's shape, not of its content. */
const SHAPE_ONLY = new Set(['Shape', 'Size']);

/**
 * Lets a graph that was exported for a fixed batch run with any: mends the constants inside that hide the fixed
 * length. The shapes of input and outputs are the caller's.
 *
 * - Reshape to a constant shape: the first length becomes "whatever is left" (−1), or, where −1 is taken, "as in
 *   the input" (0), if it was the batch.
 * - Concat of images with what does not come from them (the class token of vision transformers): it is repeated for
 *   each image of the batch at hand.
 *
 * It is a guess about meaning, so the caller has to try the result: a batch must give what its images give alone.
 */
export function freeBatch(graph: GraphProto, opset: number, input: string, fixedBatch: number): void {
  const constants = constantsOf(graph);
  const dependent = dependentOn(graph, input);
  const added: { before: NodeProto; nodes: NodeProto[] }[] = [];
  for (const node of graph.node) {
    if (node.opType === 'Reshape' && dependent.has(node.input[0] as string)) {
      const shape = int64Values(constants.get(node.input[1] as string));
      const freed = shape && freedShape(shape, fixedBatch);
      // A constant of its own: other nodes may share the old one.
      if (freed !== undefined) node.input[1] = addInts(graph, `${node.output[0]}_shape`, freed);
    }
    if (node.opType === 'Concat' && fixedBatch === 1 && node.input.some((name) => dependent.has(name))) {
      const nodes = repeatPerImage(graph, node, input, opset, dependent);
      if (nodes.length > 0) added.push({ before: node, nodes });
    }
  }
  for (const { before, nodes } of added) graph.node.splice(graph.node.indexOf(before), 0, ...nodes);
  // What was inferred for the fixed batch is wrong now, and no longer needed.
  graph.valueInfo = [];
}

/** The shape for any batch; `undefined` where it needs no change, or nothing is known of it. */
function freedShape(shape: readonly number[], fixedBatch: number): number[] | undefined {
  const [first, ...rest] = shape;
  if (first === undefined || first <= 0) return undefined;
  if (!rest.includes(-1)) return [-1, ...rest];
  return first === fixedBatch ? [0, ...rest] : undefined;
}

/** Which values hold content of the image input. */
function dependentOn(graph: GraphProto, input: string): ReadonlySet<string> {
  const dependent = new Set([input]);
  for (const node of graph.node) {
    if (SHAPE_ONLY.has(node.opType)) continue;
    for (const name of readsOf(node)) {
      if (!dependent.has(name)) continue;
      for (const output of node.output) dependent.add(output);
      break;
    }
  }
  return dependent;
}

/**
 * Nodes that repeat, for each image of the batch, what `node` joins with the images and what does not come from
 * them. A shape that has another first length than 1 is left to fail in the trial.
 */
function repeatPerImage(
  graph: GraphProto,
  node: NodeProto,
  input: string,
  opset: number,
  dependent: ReadonlySet<string>,
): NodeProto[] {
  // Joined along the batch itself: nothing that could be repeated.
  if (node.attribute.find(({ name }) => name === 'axis')?.i === 0n) return [];
  const nodes: NodeProto[] = [];
  for (const [i, name] of node.input.entries()) {
    if (dependent.has(name)) continue;
    const base = freeName(graph, `${node.output[0]}_${i}_repeated`);
    const zero = addInts(graph, `${base}_zero`, [0]);
    nodes.push(
      newNode('Shape', [input], `${base}_images`),
      newNode('Gather', [`${base}_images`, zero], `${base}_batch`, { axis: 0 }),
      newNode('Shape', [name], `${base}_one`),
      withoutFirst(graph, `${base}_one`, `${base}_rest`, opset),
      newNode('Concat', [`${base}_batch`, `${base}_rest`], `${base}_shape`, { axis: 0 }),
      newNode('Expand', [name, `${base}_shape`], base),
    );
    node.input[i] = base;
  }
  return nodes;
}

/** A list without its first member. */
function withoutFirst(graph: GraphProto, from: string, to: string, opset: number): NodeProto {
  const end = 2 ** 31 - 1;
  if (opset < SLICE_INPUTS) return newNode('Slice', [from], to, { axes: [0], starts: [1], ends: [end] });
  return newNode('Slice', [from, addInts(graph, `${to}_from`, [1]), addInts(graph, `${to}_to`, [end])], to);
}
