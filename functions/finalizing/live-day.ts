import { decodePart } from '#adapters/part-file.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import type { ImageRef } from '#core/image-ref.ts';
import { PackMessage } from '#core/messages.ts';
import { failedRecord } from '#core/pack-records.ts';
import type { Plan, PlannedStage } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { UsageRecord } from '#core/usage.ts';
import { ahead } from '../ahead.ts';
import { liveImages } from '../live/live-images.ts';
import { dayOf } from '../live/live-job.ts';
import { type DeadLetter, deadLetters, GivenUp } from './dead-letters.ts';
import { failedReceipt, type OnPart } from './job-records.ts';
import { partKeys } from './part-keys.ts';

const PARTS_AHEAD = 16;

/** A day of the live lane, as a job. */
export interface LiveDay {
  readonly plan: Plan;
  /** What was consumed for what died. */
  readonly lostUsage: readonly UsageRecord[];
  records(onPart: OnPart): AsyncGenerator<AuditRecord>;
}

/**
 * The live lane's images of one day as a job that can be finalized: what was planned is what came. An object that
 * changed between two looks at it may be in two parts; its row counts once. An image whose event or pack ended among the
 * dead letters has a row that says so.
 *
 * @returns `undefined` where nothing came that day.
 */
export async function liveDay(
  job: string,
  stage: PlannedStage,
  works: ObjectStore,
  made: { readonly policyHash: string; readonly softwareVersion: string },
): Promise<LiveDay | undefined> {
  const keys = [...(await partKeys(job, stage.name, works))];
  const dead: { ref: ImageRef; reason: string }[] = [];
  for await (const { letter } of deadLetters(job, works)) {
    for (const ref of refsOf(letter)) dead.push({ ref, reason: letter.reason });
  }
  if (keys.length === 0 && dead.length === 0) return undefined;
  const receipt = { ...failedReceipt(stage, { job, stage: stage.name, name: '' }, made), pack: '' };
  const records = async function* (onPart: OnPart): AsyncGenerator<AuditRecord> {
    const seen = new Set<string>();
    const isNew = ({ key, etag }: { key: string; etag: string }): boolean => {
      const { size } = seen;
      return seen.add(`${key}\0${etag}`).size > size;
    };
    for await (const { item: key, result } of ahead(keys, PARTS_AHEAD, (key) => works.get(key))) {
      onPart(key, result.body);
      for (const record of await decodePart(result.body)) if (isNew(record)) yield record;
    }
    for (const { ref, reason } of dead) {
      if (isNew(ref)) yield failedRecord(ref, reason, receipt);
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
    source: `new objects of ${dayOf(job)}`,
    createdAt: `${dayOf(job)}T00:00:00Z`,
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
  const { usage: lostUsage } = await GivenUp.of(job, works);
  return { plan, lostUsage, records };
}

/** The images that a dead letter of the live lane is about. */
function refsOf({ body }: DeadLetter): ImageRef[] {
  const message: unknown = JSON.parse(body);
  const pack = PackMessage.safeParse(message);
  if (pack.success) return pack.data.origin.lane === 'live' ? [pack.data.origin.image.ref] : [];
  return liveImages(body)?.map(({ ref }) => ref) ?? [];
}
