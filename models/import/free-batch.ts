import type { GraphProto, NodeProto } from '#models/onnx/generated/onnx_pb.js';
import { addInts, constantsOf, int64Values, newNode } from './graph-constants.ts';
import { freeName, readsOf } from './graph-walk.ts';

/** Operators whose result tells of a value's shape, not of its content. */
const SHAPE_ONLY = new Set(['Shape', 'Size']);

/**
 * Lets a graph that was exported for a fixed batch run with any: mends the constants inside that hide the fixed
 * length. The shapes of input and outputs are the caller's.
 *
 * - Reshape to a constant shape: the first length becomes "whatever is left" (−1), or, where −1 is taken, "as in
 *   the input" (0), if it was the batch.
 * - Concat of images with a constant that was repeated for the batch (the class token of vision transformers): the
 *   constant is expanded to the batch at hand.
 *
 * It is a guess about meaning, so the caller has to try the result: a batch must give what its images give alone.
 */
export function freeBatch(graph: GraphProto, input: string, fixedBatch: number): void {
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
    if (node.opType === 'Concat' && node.input.some((name) => dependent.has(name))) {
      const nodes = expandConstants(graph, node, input, fixedBatch);
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

function expandConstants(graph: GraphProto, node: NodeProto, input: string, fixedBatch: number): NodeProto[] {
  const axis = Number(node.attribute.find(({ name }) => name === 'axis')?.i ?? 0n);
  const constants = constantsOf(graph);
  const nodes: NodeProto[] = [];
  for (const [i, name] of node.input.entries()) {
    const dims = constants.get(name)?.dims.map(Number);
    // One copy only: a larger fixed batch repeats it, which Expand cannot undo.
    if (dims === undefined || dims.length < 2 || dims[0] !== 1 || fixedBatch !== 1) continue;
    if ((axis + dims.length) % dims.length === 0) continue;
    const shape = freeName(graph, `${name}_batch_shape`);
    const [whole, batch, expanded] = [`${shape}_of_input`, `${shape}_first`, `${shape}_expanded`];
    const ones = addInts(graph, `${shape}_ones`, Array<number>(dims.length - 1).fill(1));
    const zero = addInts(graph, `${shape}_zero`, [0]);
    nodes.push(
      newNode('Shape', [input], whole),
      newNode('Gather', [whole, zero], batch, { axis: 0 }),
      newNode('Concat', [batch, ones], shape, { axis: 0 }),
      newNode('Expand', [name, shape], expanded),
    );
    node.input[i] = expanded;
  }
  return nodes;
}
