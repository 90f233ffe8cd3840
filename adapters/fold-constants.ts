import { InferenceSession } from 'onnxruntime-node';
import { messageOf, SluiceError } from '#core/error.ts';

/**
 * Writes a model anew without what is computed from constants alone, such as weights that are stored as integers:
 * ONNX Runtime's basic optimizations, which use standard operators only.
 *
 * @throws SluiceError `model-invalid` where ONNX Runtime does not take the model.
 */
export async function foldConstants(modelPath: string, foldedPath: string): Promise<void> {
  try {
    const session = await InferenceSession.create(modelPath, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'basic',
      optimizedModelFilePath: foldedPath,
      logSeverityLevel: 4,
    });
    await session.release();
  } catch (cause) {
    throw new SluiceError('model-invalid', `ONNX Runtime does not take the model: ${messageOf(cause)}`, {
      cause,
    });
  }
}
