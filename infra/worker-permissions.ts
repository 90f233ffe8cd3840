import type { Role } from 'aws-cdk-lib/aws-iam';
import { Bucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import type { PipelineConfig } from '#core/pipeline-config.ts';
import { parseS3Url } from '#core/store-location.ts';
import type { AuditQueues } from './audit-queues.ts';
import type { AuditStorage } from './audit-storage.ts';
import { mayActOn, mayCopyTo, mayWork } from './grants.ts';

export interface WorkerPermissions {
  readonly storage: AuditStorage;
  readonly queues: AuditQueues;
  readonly sources: readonly IBucket[];
  readonly actions: PipelineConfig['actions'];
  /** Workers of a cascade write what a part hands on to the next stage, and the packs of it. */
  readonly handsOn: boolean;
  /** An engine is code for whoever loads it: without this, somebody else must build it. */
  readonly buildsEngines: boolean;
}

/** What workers do: infer packs, write parts, and act on verdicts as far as the pipeline's actions go. */
export function allowWorker(
  role: Role,
  { storage, queues, sources, actions, handsOn, buildsEngines }: WorkerPermissions,
): void {
  const { live, bulk, shards, events, verdicts } = queues;
  for (const lane of [live, bulk]) queues.mayReceive(role, lane);
  // A pack that is lost is asked for again where it was made, as is what follows on a part.
  queues.maySend(role, shards, events, verdicts, ...(handsOn ? [bulk] : []));
  // What a part hands on, and the engines that are there already, are read by whoever may write them.
  const handedOn = handsOn ? ['shards/*'] : [];
  const cut = handsOn ? ['packs/*'] : [];
  const built = buildsEngines ? ['engines/*'] : [];
  mayWork(role, storage.work, {
    read: ['jobs/*', 'packs/*', 'parts/*', 'engines/*', ...handedOn],
    write: ['parts/*', 'quarantine/*', 'workers/*', ...handedOn, ...cut, ...built],
    delete: ['packs/*', 'workers/*', ...built],
    abort: built,
  });
  const copies = actions.flatMap(({ quarantine }) => (quarantine === undefined ? [] : [quarantine]));
  const elsewhere = new Set(copies.map((url) => parseS3Url(url).bucket));
  if (storage.quarantine !== undefined) mayCopyTo(role, storage.quarantine);
  for (const name of elsewhere) mayCopyTo(role, Bucket.fromBucketName(role, `Quarantine-${name}`, name));
  const tags = actions.some(({ tag }) => tag);
  if (tags || copies.length > 0 || storage.quarantine !== undefined)
    for (const source of sources) mayActOn(role, source, { tags });
}
