import type { GraphProto, NodeProto, TensorProto } from '#models/onnx/generated/onnx_pb.js';
import { limitsOf } from './activation-limits.ts';
import { biasOf } from './layer-bias.ts';
import type { Layer } from './quantization-plan.ts';

/**
 * Values from zero on whose zero point the biases around them can take in: y ≥ 0 becomes integers of y − 128 · scale, which lie
 * around zero, as TensorRT wants them, and are all 256 of them; integers of y itself would be 128. The layer before it gives that much less, those
 * behind it have the difference in their biases, and Relu or Clip between them is what integers do at their lower end.
 *
 * So it is where one layer gives a value to a Relu or a Clip from zero alone, and layers without padding, which stands for
 * zeros, alone read what comes of it.
 *
 * @param layers those that compute on integers.
 * @returns what comes of Relu or Clip, and the value before it.
 */
export function absorbedZeroPoints(
  graph: GraphProto,
  layers: readonly Layer[],
  constants: ReadonlyMap<string, TensorProto>,
  consumers: ReadonlyMap<string, readonly NodeProto[]>,
): ReadonlyMap<string, string> {
  const takers = new Set(
    layers
      .filter((layer) => !layer.isWeightOnly && biasOf(constants, layer) !== undefined)
      .map(({ node }) => node),
  );
  const given = new Set([...takers].map(({ output }) => output[0] as string));
  const outputs = new Set(graph.output.map(({ name }) => name));
  const absorbed = new Map<string, string>();
  for (const node of graph.node) {
    const [x, y] = [node.input[0] as string, node.output[0] as string];
    if (limitsOf(node, constants)?.low !== 0 || outputs.has(x) || outputs.has(y)) continue;
    if (!given.has(x) || consumers.get(x)?.length !== 1) continue;
    const readers = consumers.get(y) ?? [];
    if (readers.length > 0 && readers.every((reader) => takers.has(reader) && !isPadded(reader)))
      absorbed.set(y, x);
  }
  return absorbed;
}

function isPadded({ attribute }: NodeProto): boolean {
  const pads = attribute.find(({ name }) => name === 'pads')?.ints ?? [];
  const kind = attribute.find(({ name }) => name === 'auto_pad')?.s;
  const isAutomatic = kind !== undefined && !['NOTSET', 'VALID'].includes(new TextDecoder().decode(kind));
  return isAutomatic || pads.some((pad) => pad !== 0n);
}
