import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import { PipelineConfig } from '#core/pipeline-config.ts';
import type { Stages } from '#core/stages.ts';
import { parseS3Url, type StoreLocation } from '#core/store-location.ts';
import { AutoScalingGroup } from './auto-scaling-group.ts';
import { type AwsClients, sharedAwsClients } from './aws-clients.ts';
import { loadStages } from './load-stages.ts';
import { loadManifest } from './model-folder.ts';
import { S3ObjectStore } from './s3-store.ts';
import { SqsMessageQueue } from './sqs-queue.ts';

export const PIPELINE_FILE = 'sluice.pipeline.json';
export const PIPELINE_VARIABLE = 'SLUICE_PIPELINE';

export type QueueName = keyof PipelineConfig['queues'];

/** A pipeline on S3 and SQS: its stores and queues, each opened when it is first needed. */
export class Pipeline {
  readonly config: PipelineConfig;
  readonly clients: AwsClients;
  readonly workLocation: StoreLocation & { kind: 's3' };
  readonly works: S3ObjectStore;
  /** Where the workers run; left out, wherever somebody has started them. */
  readonly fleet: AutoScalingGroup | undefined;
  readonly #buckets = new Map<string, S3ObjectStore>();
  readonly #queues = new Map<QueueName, Promise<SqsMessageQueue>>();
  #stages: Promise<Stages> | undefined;

  constructor(config: PipelineConfig, clients: AwsClients = sharedAwsClients()) {
    this.config = config;
    this.clients = clients;
    const { bucket, prefix } = parseS3Url(config.work);
    this.workLocation = {
      kind: 's3',
      bucket,
      prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`,
    };
    this.works = new S3ObjectStore({ ...this.workLocation, client: clients.s3 });
    this.fleet = config.fleet && new AutoScalingGroup(config.fleet.autoScalingGroup);
  }

  /** A whole bucket, by full keys. */
  readonly bucket = (name: string): S3ObjectStore => {
    const known = this.#buckets.get(name) ?? new S3ObjectStore({ bucket: name, client: this.clients.s3 });
    this.#buckets.set(name, known);
    return known;
  };

  /** @throws SluiceError `service-misconfigured` where the queue is not there or has no dead-letter queue. */
  queue(name: QueueName): Promise<SqsMessageQueue> {
    const url = this.config.queues[name];
    if (url === undefined) throw new SluiceError('config-invalid', `the pipeline has no queue "${name}"`);
    const known =
      this.#queues.get(name) ??
      SqsMessageQueue.open(url, {
        client: this.clients.sqs,
        maxMessageBytes: this.config.maxMessageBytes,
        // Verdicts are read by others, who see to their own dead letters.
        deadLetters: name === 'verdicts' ? 'none' : 'required',
      });
    this.#queues.set(name, known);
    // What could not be opened is tried afresh next time.
    known.catch(() => this.#queues.delete(name));
    return known;
  }

  /** @throws SluiceError `config-invalid` where a cascade does not fit its models. */
  stages(): Promise<Stages> {
    this.#stages ??= loadStages(this.config, async (model) => ({ manifest: await loadManifest(model) }));
    return this.#stages;
  }

  /** Of the first stage's model, or the only one. */
  async manifest(): Promise<ModelManifest> {
    return (await this.stages()).first.manifest;
  }
}

/**
 * The pipeline that a file or a JSON text describes.
 *
 * @param from a path, or the JSON itself; left out, the variable SLUICE_PIPELINE, else `sluice.pipeline.json` here.
 * @throws SluiceError `config-invalid` that names every bad value.
 */
export async function openPipeline(
  from: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Pipeline> {
  const given = from ?? env[PIPELINE_VARIABLE] ?? PIPELINE_FILE;
  const isText = given.trimStart().startsWith('{');
  const name = isText ? `the variable ${PIPELINE_VARIABLE}` : `"${given}"`;
  let value: unknown;
  try {
    value = await withSettings(JSON.parse(isText ? given : await readFile(given, 'utf8')));
  } catch (cause) {
    const hint =
      from === undefined && env[PIPELINE_VARIABLE] === undefined
        ? '; name another file with --pipeline or SLUICE_PIPELINE'
        : '';
    throw new SluiceError(
      'config-invalid',
      `no pipeline can be read from ${name}: ${messageOf(cause)}${hint}`,
      { cause },
    );
  }
  const parsed = PipelineConfig.safeParse(value);
  if (parsed.success) return new Pipeline(parsed.data);
  throw new SluiceError(
    'config-invalid',
    `${name} does not describe a pipeline:\n${z.prettifyError(parsed.error)}`,
  );
}

/** A description may keep settings in a file of their own, `"settings": "<path>"`: an environment takes 4 KB on Lambda. */
async function withSettings(value: unknown): Promise<unknown> {
  if (typeof value !== 'object' || value === null || !('settings' in value)) return value;
  const { settings, ...rest } = value;
  return { ...JSON.parse(await readFile(String(settings), 'utf8')), ...rest };
}
