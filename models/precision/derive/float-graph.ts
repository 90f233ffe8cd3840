import { join } from 'node:path';
import { foldConstants } from '#adapters/fold-constants.ts';
import type { LoadedModel } from '#adapters/model-folder.ts';
import { SluiceError } from '#core/error.ts';
import { readOnnx } from '#models/import/read-onnx.ts';
import type { ModelProto } from '#models/onnx/generated/onnx_pb.js';

/** Operators that stand for a model whose activations are integers already. */
const QUANTIZED =
  /^(QuantizeLinear|DynamicQuantizeLinear|QLinear\w+|QGemm|ConvInteger|MatMulInteger|QAttention)$/;

/**
 * The graph of a model with float weights, constants computed and BatchNormalization folded into the convolutions before
 * it: what other precisions are made of.
 *
 * @param scratch a folder for files of the moment.
 * @throws SluiceError `model-invalid` where the model has a lower precision already.
 */
export async function floatGraph({ manifest, modelPath }: LoadedModel, scratch: string): Promise<ModelProto> {
  const { name, derived } = manifest;
  if (derived !== undefined)
    throw invalid(
      `"${name}" is in ${derived.precision} already, made of "${derived.from.name}": pass that model instead`,
    );
  const quantized = (await readOnnx(modelPath)).model.graph?.node.find(({ opType }) =>
    QUANTIZED.test(opType),
  );
  if (quantized !== undefined)
    throw invalid(
      `"${name}" computes on integers already (its node ${quantized.opType} "${quantized.name}"): expected a float32 model; import the one that it was quantized from`,
    );
  const path = join(scratch, 'folded.onnx');
  await foldConstants(modelPath, path);
  const { model } = await readOnnx(path);
  // ONNX Runtime states the domains that it knows, which others do not.
  const domains = new Set(['', 'ai.onnx', ...(model.graph?.node ?? []).map((node) => node.domain)]);
  model.opsetImport = model.opsetImport.filter(({ domain }) => domains.has(domain));
  return model;
}

function invalid(message: string): SluiceError {
  return new SluiceError('model-invalid', message);
}
