import type { Role } from 'aws-cdk-lib/aws-iam';
import { Bucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import type { PipelineConfig } from '#core/pipeline-config.ts';
import { parseS3Url } from '#core/store-location.ts';
import type { AuditQueues } from './audit-queues.ts';
import type { AuditStorage } from './audit-storage.ts';
import { mayPut, mayRead, maySend, mayTag, mayWork } from './grants.ts';

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
  maySend(role, shards, events, verdicts, ...(handsOn ? [bulk] : []));
  const writes = ['packs/*', 'parts/*', 'quarantine/*', 'workers/*', ...(handsOn ? ['shards/*'] : [])];
  mayWork(role, storage.work, buildsEngines ? [...writes, 'engines/*'] : writes);
  mayRead(role, storage.work, buildsEngines ? ['jobs/*'] : ['jobs/*', 'engines/*']);
  if (storage.quarantine !== undefined) mayPut(role, storage.quarantine);
  const copies = actions.flatMap(({ quarantine }) => (quarantine === undefined ? [] : [quarantine]));
  const elsewhere = new Set(copies.map((url) => parseS3Url(url).bucket));
  for (const name of elsewhere) mayPut(role, Bucket.fromBucketName(role, `Quarantine-${name}`, name));
  const tags = actions.some(({ tag }) => tag);
  for (const source of sources) {
    if (tags) mayTag(role, source);
    if (copies.length > 0 || storage.quarantine !== undefined) mayRead(role, source);
  }
}
