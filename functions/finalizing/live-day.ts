import { decodePart } from '#adapters/parquet-audit.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import type { Plan, PlannedStage } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { ahead } from '../ahead.ts';
import type { OnPart } from './job-records.ts';
import { partKeys } from './part-keys.ts';

const PARTS_AHEAD = 16;

/**
 * The live lane's images of one day as a job that can be finalized: what was planned is what came. An object that
 * changed between two looks at it may be in two parts; its row counts once.
 *
 * @returns `undefined` where nothing came that day.
 */
export async function liveDay(
  job: string,
  stage: PlannedStage,
  works: ObjectStore,
): Promise<{ plan: Plan; records: (onPart: OnPart) => AsyncGenerator<AuditRecord> } | undefined> {
  const keys = [...(await partKeys(job, stage.name, works))];
  if (keys.length === 0) return undefined;
  const records = async function* (onPart: OnPart): AsyncGenerator<AuditRecord> {
    const seen = new Set<string>();
    for await (const { item: key, result } of ahead(keys, PARTS_AHEAD, (key) => works.get(key))) {
      onPart(key, result.body);
      for (const record of await decodePart(result.body, stage.scores)) {
        const id = `${record.key}\0${record.etag}`;
        if (!seen.has(id)) yield record;
        seen.add(id);
      }
    }
  };
  let images = 0;
  let bytes = 0;
  for await (const record of records(() => undefined)) {
    images++;
    bytes += record.bytes;
  }
  const plan: Plan = {
    schema: 1,
    job,
    source: `new objects of ${job.slice('live-'.length)}`,
    createdAt: `${job.slice('live-'.length)}T00:00:00Z`,
    stage,
    bucket: null,
    packSize: 1,
    shards: [],
    images,
    bytes,
    carried: null,
    problems: [],
    problemCount: 0,
  };
  return { plan, records };
}
