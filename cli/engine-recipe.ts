import { cudaRuntimeVersion, gpus, onnxruntimeVersion, tensorrtVersion } from '#adapters/gpu-machine.ts';
import type { EngineRecipe, Precision } from '#core/engine-artifact.ts';
import { SluiceError } from '#core/error.ts';
import type { ModelManifest } from '#core/model-manifest.ts';

/** What an engine of this model for this machine's GPU depends on. */
export async function recipeHere(
  { manifest }: { readonly manifest: Pick<ModelManifest, 'name' | 'sha256' | 'derived'> },
  options: { precision: Precision; batch: EngineRecipe['batch']; deviceId: number; builderFlags: string[] },
  env: Readonly<Record<string, string | undefined>>,
): Promise<EngineRecipe> {
  const { deviceId, batch, builderFlags } = options;
  const precision = enginePrecision(manifest, options.precision);
  const [all, tensorrt, cuda, onnxruntime] = await Promise.all([
    gpus(),
    tensorrtVersion(env),
    cudaRuntimeVersion(env),
    onnxruntimeVersion(),
  ]);
  const gpu = all[deviceId];
  if (gpu === undefined) {
    const names = all.map(({ name }, i) => `${i}: ${name}`).join(', ');
    throw new SluiceError('config-invalid', `there is no GPU ${deviceId} here: expected one of ${names}`);
  }
  return {
    model: manifest.name,
    modelSha256: manifest.sha256,
    precision,
    batch,
    computeCapability: gpu.computeCapability,
    tensorrt,
    cuda,
    onnxruntime,
    builderFlags,
  };
}

/**
 * What an engine of a model computes in: an int8 model in int8, whatever is asked of the others.
 *
 * @throws SluiceError `config-invalid` where the model is not what was asked for, or integers for a CPU.
 */
export function enginePrecision(
  { name, derived }: Pick<ModelManifest, 'name' | 'derived'>,
  wanted: Precision,
): Precision {
  if (derived?.precision === 'int8') {
    if (derived.quantization?.target !== 'cpu') return 'int8';
    throw new SluiceError(
      'config-invalid',
      `"${name}" was quantized for a CPU, and TensorRT takes no uint8: make it of "${derived.from.name}" with \`sluice models quantize --for gpu\``,
    );
  }
  if (wanted !== 'int8') return wanted;
  throw new SluiceError(
    'config-invalid',
    `the precision is int8, but "${name}" is not quantized: make an int8 model of it first, with \`sluice models quantize\``,
  );
}
