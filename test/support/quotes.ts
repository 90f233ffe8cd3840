import type { Interval, Quote } from '#core/quote/quote.ts';
import { assumptions } from './metered-jobs.ts';

export function around(estimate: number): Interval {
  return { estimate, low: estimate * 0.9, high: estimate * 1.1 };
}

/** A quote of so many images, of which 20 ms of decoding, 50 ms of functions and a hundredth of a cent each are expected. */
export function quoteOf(images: number, change: Partial<Quote['fleet']> = {}): Quote {
  const { region, instanceType, market, architecture, volumeGb, publicIpv4 } = assumptions;
  return {
    schema: 1,
    source: 's3://photos/',
    model: 'quality',
    preprocessHash: 'hash',
    softwareVersion: 'test',
    quotedAt: '2026-11-20T10:00:00.000Z',
    images,
    bytes: images * 1000,
    sourceProblems: 0,
    sample: { seed: 1, images: 10, refused: 0, refusals: {}, strata: [] },
    refused: { estimate: 0, low: 0, high: images * 0.01 },
    megapixels: 1,
    decoding: {
      processes: 1,
      cpuMsPerImage: around(16),
      startCpuSeconds: 0,
      cpuSeconds: around(0.016 * images),
      seconds: around(0.016 * images),
    },
    fleet: {
      region,
      instance: instanceType,
      market,
      invocations: 2,
      workers: 1,
      seconds: around(100),
      usd: around(images * 1.1e-4),
      usdPerMillion: around(110),
      items: [],
      metered: {
        decodeSeconds: around(0.02 * images),
        functionSeconds: around(0.05 * images),
        lambdaGbSeconds: around(0.17 * images),
        usd: around(images * 1e-4),
        assumptions: { region, instanceType, market, architecture, volumeGb, publicIpv4 },
      },
      bottleneck: { stage: 'functions', heldBackBy: 'processor', imagesPerSecond: 1, rates: {} },
      limits: [],
      assumed: {},
      ...change,
    },
  };
}
