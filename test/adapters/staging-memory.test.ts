import { describe, expect, it } from 'vitest';
import { findLibrary } from '#adapters/gpu-machine.ts';
import { StagingMemory } from '#adapters/staging-memory.ts';

const driver = await findLibrary('libcuda.so.1', process.env);

describe('memory that a GPU reads by itself', () => {
  it.skipIf(driver !== undefined)(
    'is said to be missing where there is no GPU, and batches stay where they lie',
    () => {
      const staging = new StagingMemory(0, { pixels: 64 });
      expect(staging.missing).toMatch(/^no page-locked memory: .*libcuda\.so\.1/);
      expect(staging.take('pixels', 64, [new Uint8Array(64)])).toBeUndefined();
    },
  );
});
