import { z } from 'zod';
import { backlogFor, DEPLOYED_SCALING } from '#core/fleet-scaling.ts';
import { PipelineConfig } from '#core/pipeline-config.ts';

/** Settings of a pipeline: all of core/pipeline-config.ts but what the stack itself knows. */
export type PipelineSettings = Omit<z.input<typeof PipelineConfig>, '$schema' | 'work' | 'queues' | 'fleet'>;

/** What the stack adds to the settings, as far as it makes a difference to them. */
export interface PipelineParts {
  /** Left out, the stack has no workers. */
  readonly maxWorkers?: number;
  /** Of each worker, from which the fleet grows; by default those of core/fleet-scaling.ts. */
  readonly growAtPacks?: number;
  readonly hasQuarantine: boolean;
}

/** Where the parts of a pipeline are: names that are known when it is deployed, and only then. */
export interface PipelinePlaces {
  readonly work: string;
  readonly queues: PipelineConfig['queues'];
  /** Of an auto scaling group. */
  readonly group?: string;
  /** Where copies of rejected images go. */
  readonly quarantine?: string;
}

/** On a GPU the first that works; a pipeline may ask for others. */
const GPU_PROVIDERS = ['tensorrt', 'cuda'] as const;
/** Of all variables of a function, names and values. Source: "Lambda quotas" in the Lambda guide. */
const LAMBDA_ENVIRONMENT_BYTES = 4096;
const NAME = 'SLUICE_PIPELINE';

/** The part of a pipeline's description that is known when the stack is made. */
export function settingsOf(
  settings: PipelineSettings,
  { maxWorkers, growAtPacks = DEPLOYED_SCALING.growAtPacks }: PipelineParts,
): PipelineSettings {
  if (maxWorkers === undefined) return settings;
  const usual = PipelineConfig.shape.maxBacklogPacks.parse(undefined);
  const { concurrency, processes } = PipelineConfig.shape.preprocess.parse(settings.preprocess);
  const backlog = Math.max(usual, backlogFor({ growAtPacks, maxWorkers }, concurrency, processes));
  return {
    ...(backlog > usual && { maxBacklogPacks: backlog }),
    ...settings,
    worker: { providers: [...GPU_PROVIDERS], ...settings.worker },
  };
}

/** The other part, which goes before the settings. */
export function placesOf(settings: PipelineSettings, places: PipelinePlaces): object {
  const { work, queues, group, quarantine } = places;
  return {
    work,
    queues,
    ...(group !== undefined && { fleet: { autoScalingGroup: group } }),
    ...(quarantine !== undefined && {
      actions: [...(settings.actions ?? []), quarantineAction(settings, quarantine)],
    }),
  };
}

/**
 * The description as functions and workers will read it: a deployment must not be what finds its faults.
 *
 * @throws Error that names every bad value.
 */
export function checkedPipeline(settings: PipelineSettings, parts: PipelineParts): PipelineConfig {
  const places = placesOf(settings, likelyPlaces(parts));
  const parsed = PipelineConfig.safeParse({ ...settingsOf(settings, parts), ...places });
  if (!parsed.success)
    throw new Error(`these settings do not make a pipeline:\n${z.prettifyError(parsed.error)}`);
  const bytes = NAME.length + Buffer.byteLength(JSON.stringify(inFunction(places)));
  if (bytes > LAMBDA_ENVIRONMENT_BYTES)
    throw new Error(
      `the pipeline's places and actions take up to ${bytes} bytes in a function's environment, and Lambda takes ${LAMBDA_ENVIRONMENT_BYTES}: use fewer actions`,
    );
  return parsed.data;
}

/** Where a function finds the settings: they may be larger than its environment, which holds the places alone. */
export const SETTINGS_FILE = 'sluice/settings.json';

/** What SLUICE_PIPELINE is in a function. */
export function inFunction(places: object): object {
  return { settings: `/opt/${SETTINGS_FILE}`, ...places };
}

/** A cascade's verdict on a backfill's image is not known while workers could still act on it. */
function quarantineAction({ cascade }: PipelineSettings, quarantine: string): object {
  const lanes = cascade === undefined ? ['live', 'bulk'] : ['live'];
  return { on: ['reject'], lanes, quarantine };
}

/** Names as long as they get. */
function likelyPlaces({ maxWorkers, hasQuarantine }: PipelineParts): PipelinePlaces {
  const bucket = 'b'.repeat(63);
  const url = `https://sqs.ap-southeast-2.amazonaws.com/123456789012/${'q'.repeat(80)}`;
  return {
    work: `s3://${bucket}/`,
    queues: { jobs: url, shards: url, events: url, live: url, bulk: url, verdicts: url },
    ...(maxWorkers !== undefined && { group: 'g'.repeat(128) }),
    ...(hasQuarantine && { quarantine: `s3://${bucket}/` }),
  };
}
