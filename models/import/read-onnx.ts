import { lstat, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { messageOf, SluiceError } from '#core/error.ts';
import {
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
} from '#models/onnx/generated/onnx_pb.js';
import { tensorsOf } from './graph-walk.ts';

/** A protobuf message has at most 2 GiB, and the prepared model is one message. */
const MAX_MODEL_BYTES = 2 ** 31 - 2 ** 20;

/**
 * An ONNX model with all its weights, also those that lie in files beside it.
 *
 * @throws SluiceError `model-invalid` where the file cannot be read, is no ONNX model, is damaged, or names data
 * outside its own folder.
 */
export async function readOnnx(path: string): Promise<{ model: ModelProto; bytes: Uint8Array }> {
  const file = basename(path);
  const bytes = await readFile(path).catch((cause) =>
    invalid(`"${file}" cannot be read: ${messageOf(cause)}`, cause),
  );
  if (bytes.length === 0) invalid(`"${file}" is empty: download or export it again`);
  if (bytes.subarray(0, 40).toString('latin1').startsWith('version https://git-lfs')) {
    invalid(
      `"${file}" is a Git LFS pointer, not the model it stands for: run "git lfs pull" where it came from`,
    );
  }
  const model = parsed(bytes, file);
  if (model.graph === undefined || model.graph.node.length === 0)
    invalid(`"${file}" holds no graph: expected an ONNX model`);
  let total = bytes.length;
  for (const tensor of tensorsOf(model)) {
    if (tensor.dataLocation !== TensorProto_DataLocation.EXTERNAL) continue;
    await takeIn(tensor, dirname(path));
    total += tensor.rawData.length;
    if (total > MAX_MODEL_BYTES)
      invalid(`"${file}" has more than 2 GiB of weights: quantize it, or export it in float16`);
  }
  return { model, bytes };
}

function parsed(bytes: Uint8Array, file: string): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    const said = messageOf(cause);
    return invalid(
      /premature EOF/i.test(said)
        ? `"${file}" ends in the middle: it was cut off; download or export it again`
        : `"${file}" cannot be read as ONNX (${said}): it is damaged, or another kind of file`,
      cause,
    );
  }
}

/** Moves external data into the tensor. Source of the keys: onnx.proto, `TensorProto.external_data`. */
async function takeIn(tensor: TensorProto, folder: string): Promise<void> {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get('location') ?? '';
  const outside = (): never =>
    invalid(
      `the weights "${tensor.name}" lie in "${location}", outside the model's folder: that is refused; ` +
        'put the file beside the model and export again',
    );
  if (location === '') invalid(`the weights "${tensor.name}" name no file`);
  if (isAbsolute(location) || /^[a-z]:|\\/i.test(location) || leaves(join(folder, location), folder))
    outside();
  const path = join(folder, location);
  if ((await lstat(path).catch(() => undefined)) === undefined) {
    invalid(`the weights "${tensor.name}" lie in "${location}", which is missing: put it beside the model`);
  }
  // A link inside the folder may still lead out of it.
  if (leaves(await realpath(path), await realpath(folder))) outside();
  const data = await readFile(path).catch((cause) =>
    invalid(`"${location}" cannot be read: ${messageOf(cause)}`),
  );
  const offset = Number(entries.get('offset') ?? 0);
  const length = Number(entries.get('length') ?? data.length - offset);
  if (!(offset >= 0 && length >= 0 && offset + length <= data.length)) {
    invalid(
      `the weights "${tensor.name}" are bytes ${offset} to ${offset + length} of "${location}", which has ${data.length}: it was cut off`,
    );
  }
  tensor.rawData = data.subarray(offset, offset + length);
  tensor.externalData = [];
  tensor.dataLocation = TensorProto_DataLocation.DEFAULT;
}

function leaves(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way.startsWith('..') || isAbsolute(way);
}

function invalid(message: string, cause?: unknown): never {
  throw new SluiceError('model-invalid', message, { cause });
}
