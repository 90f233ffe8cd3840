import type { GraphProto, ModelProto, NodeProto, TensorProto } from '#models/onnx/generated/onnx_pb.js';

/** Every graph of a model: its own and those inside its nodes (the branches of If, the bodies of Loop and Scan). */
function* graphsOf(graph: GraphProto): Generator<GraphProto> {
  yield graph;
  for (const node of graph.node) yield* graphsInside(node);
}

/** The graphs inside one node, at any depth. */
function* graphsInside(node: NodeProto): Generator<GraphProto> {
  for (const { g, graphs } of node.attribute)
    for (const inner of [...(g ? [g] : []), ...graphs]) yield* graphsOf(inner);
}

/** Every tensor stored in a model: weights, constants, attributes of nodes and of functions. */
export function* tensorsOf(model: ModelProto): Generator<TensorProto> {
  const ofNodes = function* (nodes: readonly NodeProto[]): Generator<TensorProto> {
    for (const node of nodes)
      for (const { t, tensors, sparseTensor } of node.attribute) {
        if (t) yield t;
        yield* tensors;
        if (sparseTensor?.values) yield sparseTensor.values;
        if (sparseTensor?.indices) yield sparseTensor.indices;
      }
  };
  for (const outer of model.graph ? [model.graph] : [])
    for (const graph of graphsOf(outer)) {
      yield* graph.initializer;
      for (const { values, indices } of graph.sparseInitializer) {
        if (values) yield values;
        if (indices) yield indices;
      }
      yield* ofNodes(graph.node);
    }
  for (const { node } of model.functions) yield* ofNodes(node);
}

/** The values that a node reads: its inputs, and what the graphs inside it take from outside. */
export function* readsOf(node: NodeProto): Generator<string> {
  yield* node.input;
  for (const graph of graphsInside(node)) {
    for (const inner of graph.node) yield* inner.input;
    for (const { name } of graph.output) yield name;
  }
}

/** A name that no value of the graph has yet. */
export function freeName(graph: GraphProto, wanted: string): string {
  const taken = new Set<string>();
  for (const one of graphsOf(graph)) {
    for (const { name } of [...one.input, ...one.output, ...one.initializer]) taken.add(name);
    for (const { input, output } of one.node) for (const name of [...input, ...output]) taken.add(name);
  }
  let name = wanted;
  for (let i = 2; taken.has(name); i++) name = `${wanted}_${i}`;
  return name;
}
