import type { z } from 'zod';
import type { GivenMeasurements } from '#core/simulation/measurements.ts';
import type { Scenario } from '#core/simulation/scenario.ts';

/** What a job takes, beside its images and for each. */
export interface JobTime {
  readonly fixedMs: number;
  readonly imageMs: number;
}

/** What was measured of a pipeline on this machine. */
export interface MeasuredHere {
  /** Of an invocation (or a decoding process) and of the worker, for one image, while the other works too. */
  readonly coreMs: number;
  readonly modelMs: number;
  readonly megapixels: number;
  /** Left out, listing and finalizing take no time. */
  readonly planning?: JobTime;
  readonly completion?: JobTime;
}

const NO_TIME: JobTime = { fixedMs: 0, imageMs: 1e-6 };

/** One machine as the simulation sees it: nothing is assumed of Lambda and S3, and its one worker is there from the start. */
export function simulatedHere(measured: MeasuredHere): {
  scenario: Omit<z.input<typeof Scenario>, 'images'>;
  measurements: GivenMeasurements;
} {
  const { coreMs, modelMs, megapixels, planning = NO_TIME, completion = NO_TIME } = measured;
  return {
    scenario: {
      megapixels,
      sourcePartitions: 1000,
      scaling: { minWorkers: 1, maxWorkers: 1 },
      spot: { interruptionsPerHour: 0 },
    },
    measurements: {
      decode: [{ megapixels, coreMs, bytes: 1 }],
      workerImageMs: figure(modelMs),
      lambdaSlowness: figure(1),
      lambdaCores: figure(1),
      getsInFlight: figure(1),
      firstByteMs: figure(0),
      packMs: figure(0),
      invocationMs: figure(0),
      coldStartMs: figure(0),
      workerBatchMs: figure(0),
      bootS: figure(0),
      engineLoadS: figure(0),
      lambdaMbPerSecond: figure(1e9),
      feedImagesPerSecond: figure(1e9),
      workerMbPerSecond: figure(1e9),
      planningMs: figure(planning.fixedMs),
      listedPerSecond: figure(1000 / planning.imageMs),
      completionMs: figure(completion.fixedMs),
      finalizedPerSecond: figure(1000 / completion.imageMs),
    },
  };
}

function figure(value: number) {
  return { value, basis: 'measured' as const, note: 'this run' };
}
