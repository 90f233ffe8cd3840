import { decodeCost, type Measurements } from './measurements.ts';
import type { Scenario } from './scenario.ts';

/** What each stage takes for an image, before any waiting for others. */
export interface ServiceTimes {
  /** Seconds of an invocation for one image. */
  readonly invocationImageS: number;
  /** What holds an invocation back: its processor, S3's answers, or its network. */
  readonly invocationBound: 'processor' | 'latency' | 'network';
  /** Of an invocation with a pack, beside its images. */
  readonly invocationPackS: number;
  /** Seconds of a worker for one image of a full batch. */
  readonly workerImageS: number;
  readonly workerBound: 'model' | 'feeding' | 'network';
  readonly imageBytes: number;
  /** In a pack: uint8, RGB. */
  readonly tensorBytes: number;
}

const MB = 1e6;

/**
 * A stage goes as fast as the scarcest of what it needs. In an invocation, images are read while others are decoded,
 * so that times are not added; a worker reads packs while the model runs.
 */
export function serviceTimes(scenario: Scenario, measurements: Measurements): ServiceTimes {
  const m = measurements;
  const decode = decodeCost(m, scenario.megapixels);
  const imageBytes = scenario.imageBytes ?? decode.bytes;
  const tensorBytes = 3 * scenario.edgePx ** 2;
  const invocation = slowest({
    processor: (decode.coreMs * m.lambdaSlowness.value) / 1000 / m.lambdaCores.value,
    latency: m.firstByteMs.value / 1000 / m.getsInFlight.value,
    network: imageBytes / MB / m.lambdaMbPerSecond.value,
  });
  const worker = slowest({
    model: (m.workerImageMs.value + m.workerBatchMs.value / scenario.worker.batchSize) / 1000,
    // Feeding is a matter of bytes: it was measured at 224 px.
    feeding: tensorBytes / (3 * 224 ** 2) / m.feedImagesPerSecond.value,
    network: tensorBytes / MB / m.workerMbPerSecond.value,
  });
  return {
    invocationImageS: invocation.seconds,
    invocationBound: invocation.name,
    invocationPackS: m.packMs.value / 1000 / m.lambdaCores.value,
    workerImageS: worker.seconds,
    workerBound: worker.name,
    imageBytes,
    tensorBytes,
  };
}

function slowest<N extends string>(times: Readonly<Record<N, number>>): { name: N; seconds: number } {
  const [name, seconds] = (Object.entries(times) as [N, number][]).reduce((a, b) => (b[1] > a[1] ? b : a));
  return { name, seconds };
}

/** Images/s of one invocation at work on full packs. */
export function invocationRate(scenario: Scenario, times: ServiceTimes): number {
  const { packSize } = scenario;
  return packSize / (packSize * times.invocationImageS + times.invocationPackS);
}
