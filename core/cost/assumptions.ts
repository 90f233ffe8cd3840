import { z } from 'zod';
import { SluiceError } from '#core/error.ts';
import { DEPLOYED_SCALING, WORKER_START_S } from '#core/fleet-scaling.ts';
import { DEPLOYED_TERMS } from './deployed-terms.ts';

const Positive = z.number().positive();
const Amount = z.number().min(0);

/**
 * What a cost report takes for granted, because no meter tells it: all of it is shown in the report and can be set. The
 * default memory is that of the CDK construct (infra/audit-functions.ts), for functions that do not say theirs.
 */
export const CostAssumptions = z.strictObject({
  region: z.string().default('us-east-1'),
  instanceType: z.string().default('g4dn.xlarge'),
  market: z.enum(['spot', 'on-demand']).default('spot'),
  /** Dollars for an hour, instead of the price file's. */
  spotHourUsd: Positive.optional(),
  architecture: z.enum(['arm64', 'x86']).default('arm64'),
  /** Of functions that do not say theirs. */
  memoryMb: z
    .strictObject({
      plan: Positive.default(5307),
      ingest: Positive.default(3538),
      preprocess: Positive.default(3538),
      finalize: Positive.default(5307),
    })
    .prefault({}),
  /** A worker's root volume, in GB. */
  volumeGb: z.number().min(0).default(60),
  /** Whether each worker has a public IPv4 address. */
  publicIpv4: z.boolean().default(true),
  /** Images that Rekognition has seen this month already: its price falls with them. */
  rekognitionImagesBefore: z.int().min(0).default(0),
  sageMakerInstance: z.string().default('ml.g4dn.xlarge'),
  /** Batch Transform with one request an image: what a request takes of the instance beside decoding. */
  sageMakerRequestMs: z.number().min(0).default(20),
  /** Processors of an instance that decodes for itself, SageMaker's and EC2's. */
  decodingVcpus: Positive.default(4),
  /** Decoding time there, as a multiple of what was metered in the functions. */
  decodingFactor: Positive.default(1),
  /** What no meter tells, and the report estimates, apart from what is metered. */
  estimates: z
    .strictObject({
      /** Lambda receives the message of an invocation, and deletes it. */
      requestsPerInvocation: Amount.default(2),
      /** Of the functions' event sources. */
      emptyPollsPerHour: Amount.default(DEPLOYED_TERMS.emptyPollsPerHour),
      packStorageHours: Amount.default(1),
      resultStorageMonths: Amount.default(1),
      /** From the launch of an instance until the worker's process begins. */
      workerBootSeconds: Amount.default(WORKER_START_S),
      /** From a worker's last pack until its instance is let go. */
      workerTailSeconds: Amount.default(DEPLOYED_SCALING.idleMinutes * 60),
      logBytesPerInvocation: Amount.default(900),
      logBytesPerWorkerSecond: Amount.default(700),
      /** Of the deployment in infra/: docs/deploy.md. */
      alarmMetrics: Amount.default(DEPLOYED_TERMS.alarmMetrics),
      workerMetrics: Amount.default(DEPLOYED_TERMS.workerMetrics),
      dashboards: Amount.default(DEPLOYED_TERMS.dashboards),
      /** 8 in private subnets of two zones. */
      interfaceEndpoints: Amount.default(0),
      gbBetweenZones: Amount.default(0),
      gbToInternet: Amount.default(0),
    })
    .prefault({}),
});
export type CostAssumptions = z.infer<typeof CostAssumptions>;

/** @throws SluiceError `config-invalid` that lists every bad value. */
export function parseAssumptions(value: unknown, from: string): CostAssumptions {
  const parsed = CostAssumptions.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SluiceError(
    'config-invalid',
    `the assumptions from ${from} are not usable as given:\n${z.prettifyError(parsed.error)}\n` +
      `there are ${Object.keys(CostAssumptions.shape).join(', ')}`,
  );
}

/** Each assumption with its value, as a report shows them. */
export function assumptionLines(assumptions: CostAssumptions): { name: string; value: string }[] {
  return Object.entries(assumptions).flatMap(([name, value]) =>
    typeof value === 'object'
      ? Object.entries(value).map(([inner, own]) => ({ name: `${name}.${inner}`, value: String(own) }))
      : [{ name, value: String(value) }],
  );
}
