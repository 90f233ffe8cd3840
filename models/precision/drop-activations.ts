import { constantsOf } from '#models/import/graph-constants.ts';
import type { GraphProto, NodeProto } from '#models/onnx/generated/onnx_pb.js';
import { limitsOf } from './activation-limits.ts';
import type { Quantization } from './calibration/quantization.ts';

/**
 * Takes Relu and Clip away where the integers that follow end where they do: ONNX Runtime makes an integer kernel of a
 * layer only where QuantizeLinear follows it at once. Values that something else reads, too, stay.
 */
export function dropActivations(graph: GraphProto, ranges: ReadonlyMap<string, Quantization>): void {
  const constants = constantsOf(graph);
  const outputs = new Set(graph.output.map(({ name }) => name));
  bypass(graph, (node) => {
    const limits = limitsOf(node, constants);
    const y = node.output[0] as string;
    const range = ranges.get(y);
    if (limits === undefined || range === undefined || outputs.has(y)) return false;
    const { scale, zeroPoint } = range;
    // Half a step beyond a limit is rounded to it.
    const isWithin =
      -zeroPoint * scale >= limits.low - scale / 2 && (255 - zeroPoint) * scale <= limits.high + scale / 2;
    const readers = graph.node.filter(({ input }) => input.includes(y));
    return isWithin && readers.every(({ opType }) => opType === 'QuantizeLinear');
  });
}

/**
 * Takes those Clips away that reach below zero: a training that simulates 8 bits leaves them behind convolutions and sums, to
 * keep values in the range of its integers, which ours take the place of. In a network of integers TensorRT 10.6 computes them wrongly:
 * MobileNet-v2 with 1001 labels gave the same label for all pictures.
 */
export function dropRanges(graph: GraphProto, readers: ReadonlySet<NodeProto>): void {
  const constants = constantsOf(graph);
  bypass(graph, (node) => {
    const limits = node.opType === 'Clip' && readers.has(node) ? limitsOf(node, constants) : undefined;
    return limits !== undefined && limits.low < 0;
  });
}

/** Takes nodes away; who read what they gave reads what they read. */
export function bypass(graph: GraphProto, isDropped: (node: NodeProto) => boolean): void {
  const dropped = new Map<string, string>();
  graph.node = graph.node.filter((node) => {
    if (!isDropped(node)) return true;
    dropped.set(node.output[0] as string, node.input[0] as string);
    return false;
  });
  const written = (name: string): string => {
    const before = dropped.get(name);
    return before === undefined ? name : written(before);
  };
  for (const node of graph.node) node.input = node.input.map(written);
}
