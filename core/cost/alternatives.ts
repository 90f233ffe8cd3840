import type { Usage } from '#core/usage.ts';
import type { CostAssumptions } from './assumptions.ts';
import { tieredUsd } from './bill.ts';
import { machineHourUsd } from './cost-items.ts';
import type { Prices } from './prices.ts';

/** What the same images would cost elsewhere. */
export interface Alternative {
  readonly name: string;
  /** `undefined` where it cannot be reckoned; `how` says why. */
  readonly usd: number | undefined;
  readonly usdPerMillion: number | undefined;
  /** How the figure came about. */
  readonly how: string;
}

const HOUR_MS = 3_600_000;

type PerImage = (
  name: string,
  ms: number | undefined,
  hourUsd: number,
  how: string,
  besideUsd?: number,
) => Alternative;

/**
 * @param total what all stages have consumed, `worked` the workers alone: from these come the milliseconds of decoding and
 * of the model that an image takes.
 */
export function alternativesOf(
  total: Usage,
  worked: Usage,
  images: number,
  assumptions: CostAssumptions,
  prices: Prices,
): Alternative[] {
  const decoded = total.counts['packs'] === undefined ? 0 : decodedImages(total, worked);
  const cpuMs = decoded > 0 ? ((total.ms['cpu'] ?? 0) / decoded) * assumptions.decodingFactor : undefined;
  const inferred = worked.counts['images'] ?? 0;
  const modelMs = inferred > 0 ? (worked.ms['run'] ?? 0) / inferred : undefined;
  const decodeMs = cpuMs === undefined ? undefined : cpuMs / assumptions.decodingVcpus;
  const readUsd = (images * prices.s3.get.usd) / 1000;
  const bootUsd = (machineHourUsd(assumptions, prices) * assumptions.estimates.workerBootSeconds) / 3600;
  const perImage: PerImage = (name, ms, hourUsd, how, besideUsd = 0) => {
    if (ms === undefined || images === 0) {
      return { name, usd: undefined, usdPerMillion: undefined, how: 'nothing was metered to reckon it from' };
    }
    const usd = ((ms * images) / HOUR_MS) * hourUsd + besideUsd;
    return { name, usd, usdPerMillion: (usd / images) * 1e6, how };
  };
  return [
    rekognition(images, assumptions, prices),
    sageMaker({ cpuMs, modelMs }, assumptions, prices, perImage),
    perImage(
      `${assumptions.instanceType} that decodes for itself`,
      decodeMs === undefined || modelMs === undefined ? undefined : Math.max(decodeMs, modelMs),
      machineHourUsd(assumptions, prices),
      `${assumptions.market}; the slower of decoding (${ms(decodeMs)} an image on ${assumptions.decodingVcpus} vCPUs) and ` +
        `the model (${ms(modelMs)}), both as metered, each hidden behind the other; with its volume, address, one boot, and a GET an image`,
      readUsd + bootUsd,
    ),
  ];
}

function rekognition(
  images: number,
  { rekognitionImagesBefore: before }: CostAssumptions,
  { alternatives, region }: Prices,
): Alternative {
  const name = 'Rekognition image moderation';
  const tiers = alternatives.rekognitionModeration;
  if (tiers === undefined || images === 0) {
    const how = tiers === undefined ? `the price file of ${region} has no price for it` : 'no images yet';
    return { name, usd: undefined, usdPerMillion: undefined, how };
  }
  const usd = tieredUsd(tiers, before + images) - tieredUsd(tiers, before);
  const how = `tiered price for ${count(images)} images after ${count(before)} of the month`;
  return { name, usd, usdPerMillion: (usd / images) * 1e6, how };
}

function sageMaker(
  { cpuMs, modelMs }: { readonly cpuMs: number | undefined; readonly modelMs: number | undefined },
  { sageMakerInstance, sageMakerRequestMs }: CostAssumptions,
  { alternatives, region }: Prices,
  perImage: PerImage,
): Alternative {
  const name = 'SageMaker Batch Transform';
  const price = alternatives.sageMaker[sageMakerInstance];
  if (price === undefined) {
    const how = `the price file of ${region} has no price for ${sageMakerInstance}`;
    return { name, usd: undefined, usdPerMillion: undefined, how };
  }
  return perImage(
    name,
    cpuMs === undefined || modelMs === undefined ? undefined : cpuMs + modelMs + sageMakerRequestMs,
    price.usd,
    `${sageMakerInstance} at $${price.usd} an hour, one request at a time, of an image: decoding on one vCPU (${ms(cpuMs)}), ` +
      `the model (${ms(modelMs)}, as metered on the workers) and what else a request takes (${sageMakerRequestMs} ms, assumed)`,
  );
}

/** The workers count the images that their batches held; the rest of the count is that of decoding. */
function decodedImages(total: Usage, worked: Usage): number {
  return (total.counts['images'] ?? 0) - (worked.counts['images'] ?? 0) + (total.counts['refused'] ?? 0);
}

function ms(value: number | undefined): string {
  return value === undefined ? 'unknown' : `${value.toFixed(1)} ms`;
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}
