import { describe, expect, it } from 'vitest';
import { enginePrecision } from '#cli/engine-recipe.ts';
import type { Derived } from '#core/model-manifest.ts';

const derived = (target: 'gpu' | 'cpu'): Derived => ({
  precision: 'int8',
  from: { name: 'plain', sha256: 'a'.repeat(64) },
  quantization: { target, calibrator: 'max', images: 10, imagesSha256: 'b'.repeat(64), floatLayers: [] },
  agreement: { images: 10, heldOut: true, top1: 1, maxScoreDifference: 0, verdictFlips: 0 },
});

describe('the precision of an engine', () => {
  it('is what is asked for, but int8 for a model that was quantized', () => {
    expect(enginePrecision({ name: 'plain' }, 'fp16')).toBe('fp16');
    expect(enginePrecision({ name: 'plain' }, 'fp32')).toBe('fp32');
    expect(enginePrecision({ name: 'plain-int8', derived: derived('gpu') }, 'fp16')).toBe('int8');
  });

  it('cannot be int8 where the model is not, or is so for a CPU', () => {
    expect(() => enginePrecision({ name: 'plain' }, 'int8')).toThrow(/"plain" is not quantized/);
    expect(() => enginePrecision({ name: 'plain-int8', derived: derived('cpu') }, 'fp16')).toThrow(
      /was quantized for a CPU, .* make it of "plain" with `sluice models quantize --for gpu`/,
    );
  });
});
