import { type GraphProto, type NodeProto, TensorProto_DataType } from '#models/onnx/generated/onnx_pb.js';

/** What moves values about and leaves them as they are. */
const MOVES = ['Transpose', 'Gather', 'Identity'];

/**
 * Casts the uint8 input before it is moved about, and not after: TensorRT takes uint8 at the ends of a network only. The
 * values are the same either way. Changes `graph`.
 */
export function castFirst(graph: GraphProto): void {
  for (const { name, type } of graph.input) {
    const isUint8 =
      type?.value.case === 'tensorType' && type.value.value.elemType === TensorProto_DataType.UINT8;
    if (isUint8) pullCast(graph, name);
  }
}

/** The way from an input to its cast, where nothing else reads on the way. */
function pullCast(graph: GraphProto, input: string): void {
  const way: NodeProto[] = [];
  for (let value = input; ; ) {
    const readers = graph.node.filter((node) => node.input.includes(value));
    const [reader] = readers;
    if (reader === undefined || readers.length > 1) return;
    way.push(reader);
    if (reader.opType === 'Cast') break;
    if (!MOVES.includes(reader.opType) || reader.input[0] !== value) return;
    value = reader.output[0] as string;
  }
  const cast = way.at(-1) as NodeProto;
  const moves = way.slice(0, -1);
  if (moves.length === 0) return;
  // The names of the values stay in their order; only who writes them changes.
  const [first] = moves.map((node) => node.output[0] as string);
  const last = cast.output[0] as string;
  cast.input[0] = input;
  cast.output[0] = `${first}_cast`;
  let value = cast.output[0];
  for (const [i, move] of moves.entries()) {
    move.input[0] = value;
    if (i === moves.length - 1) move.output[0] = last;
    value = move.output[0] as string;
  }
  graph.node = [cast, ...graph.node.filter((node) => node !== cast)];
}
