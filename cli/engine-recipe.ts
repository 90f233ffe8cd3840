import { gpus, onnxruntimeVersion, tensorrtVersion } from '#adapters/gpu-machine.ts';
import type { LoadedModel } from '#adapters/model-folder.ts';
import type { EngineRecipe, Precision } from '#core/engine-artifact.ts';
import { SluiceError } from '#core/error.ts';

/** What an engine of this model for this machine's GPU depends on. */
export async function recipeHere(
  { manifest }: LoadedModel,
  options: { precision: Precision; batch: EngineRecipe['batch']; deviceId: number; builderFlags: string[] },
  env: Readonly<Record<string, string | undefined>>,
): Promise<EngineRecipe> {
  const { deviceId, precision, batch, builderFlags } = options;
  const [all, tensorrt, onnxruntime] = await Promise.all([
    gpus(),
    tensorrtVersion(env),
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
    cuda: gpu.cuda,
    onnxruntime,
    builderFlags,
  };
}
