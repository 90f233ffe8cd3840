import { decodePart, encodePart } from '#adapters/part-file.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { hasCode, messageOf } from '#core/error.ts';
import { partKey, quarantineKey } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { modelReceipt } from '#core/model-receipt.ts';
import { encodePack, type PackHeader } from '#core/pack.ts';
import { EngineFault, recordsOfPack } from '#core/pack-records.ts';
import { type Policy, policyHash } from '#core/policy.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { Inferred, Result } from './batch-inference.ts';
import { carriedUsage } from './carried-usage.ts';
import { cutPacks } from './cut-packs.ts';
import { type FollowingStages, standingFollowUps, writeFollowUps } from './follow-ups.ts';
import type { HeldModel } from './held-models.ts';
import { sliceOf } from './infer-packs.ts';
import { type LoadedPack, mayBeUnfinished } from './pack-lane.ts';
import type { RecycledMemory } from './recycled-memory.ts';
import { releasePack } from './shared-pack.ts';

export interface PackCommitsOptions {
  readonly softwareVersion: string;
  /** The models that are held, by their stages. */
  readonly models: ReadonlyMap<string, HeldModel>;
  readonly memory: RecycledMemory;
}

export interface PackCommitsPorts {
  readonly works: ObjectStore;
  /** What a part comes to for other stages; left out, every stage is the last one. */
  readonly followUps?: FollowingStages;
  /** The policy that a job's images are judged by at a stage. */
  policyOf(job: string, stage: string): Promise<Policy>;
  /** Does what is to be done about the verdicts of a part that is written; must bear being repeated. */
  act?(message: PackMessage, records: readonly AuditRecord[]): Promise<void>;
  onPart?(records: readonly AuditRecord[], lane: 'live' | 'bulk'): void;
  /** A delivery that did not lead to a part, and why; the queue delivers it again or gives it up. */
  onFailedDelivery?(message: PackMessage | undefined, reason: string): void;
}

/** Makes parts of what models made of packs, and ends the packs' deliveries. */
export class PackCommits {
  readonly #options: PackCommitsOptions;
  readonly #ports: PackCommitsPorts;

  constructor(options: PackCommitsOptions, ports: PackCommitsPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /**
   * The order is the design's: follow-ups and their packs, part, messages for the follow-ups, actions, acknowledgement, pack.
   * Where a part is, its follow-ups are, so what is expected of the next stage follows from the parts of this one.
   */
  async commit({ loaded, results, shadows }: Inferred): Promise<void> {
    const { lane, lease, message, pack, tally } = loaded;
    const { works, act, followUps } = this.#ports;
    try {
      const records = withShadows(await this.#recordsOf(message, pack.header, results), pack.header, shadows);
      await this.#quarantine(loaded, results);
      const handedOn =
        followUps === undefined
          ? []
          : await writeFollowUps(message, pack.header, records, results, followUps, works);
      const announcements = await cutPacks(
        handedOn,
        { message, preprocessHash: pack.header.preprocessHash, load: () => lane.load(message) },
        works,
        this.#options.memory,
      );
      const carried = carriedUsage(message.usage ?? [], pack.header.usage ?? []);
      const part = encodePart(records, tally.seal({ carried, storedBy: works.putRequest }));
      const outcome = await works.put(partKey(message), part, { ifAbsent: true });
      if (outcome === 'written') tally.stored();
      else tally.wasted();
      const isOurs = outcome === 'written' || mayBeUnfinished(lease, message);
      for (const { message, isNewPack } of announcements)
        if (isOurs || isNewPack) await followUps?.send(message);
      if (isOurs) await act?.(message, records);
      await lease.ack();
      lane.settle(lease);
      await releasePack(message, works);
      if (outcome === 'written') this.#ports.onPart?.(records, lane.name);
    } catch (error) {
      tally.wasted();
      this.#ports.onFailedDelivery?.(message, messageOf(error));
      lane.settle(lease);
      await lease.retry({ reason: messageOf(error) }).catch(() => undefined);
    }
  }

  /**
   * Sends the follow-ups and runs the actions of a part that stands, from what is stored: its pack is gone. Packs that were cut
   * out of it may lie there, announced or not: who is asked for them announces what there is, and decodes what there is not.
   */
  async finish(message: PackMessage): Promise<void> {
    const { works, act, followUps } = this.#ports;
    if (followUps !== undefined)
      for (const followUp of await standingFollowUps(message, followUps, works))
        await followUps.send(followUp);
    if (act === undefined) return;
    const { body } = await works.get(partKey(message));
    await act(message, await decodePart(body));
  }

  async #recordsOf(
    message: PackMessage,
    header: PackHeader,
    results: readonly Result[],
  ): Promise<AuditRecord[]> {
    const { softwareVersion } = this.#options;
    const { manifest, engine } = this.#modelOf(message);
    const policy = await this.#ports.policyOf(message.job, message.stage);
    const scores = results.map((result) => (result instanceof EngineFault ? result : result.scores));
    return recordsOfPack(header, scores, policy, {
      job: message.job,
      stage: message.stage,
      pack: header.pack,
      ...modelReceipt(manifest),
      policyHash: policyHash(policy),
      softwareVersion,
      decoderVersion: header.decoderVersion,
      provider: engine.provider,
    });
  }

  /** Keeps the pixels of an image that the model failed on: whoever mends the model needs them. */
  async #quarantine({ lane, message }: LoadedPack, results: readonly Result[]): Promise<void> {
    if (!results.some((result) => result instanceof EngineFault)) return;
    const pack = await lane.load(message).catch((error: unknown) => {
      if (hasCode(error, 'object-missing')) return undefined;
      throw error;
    });
    for (const [i, result] of results.entries()) {
      if (!(result instanceof EngineFault) || pack === undefined) continue;
      const { header, body } = encodePack(sliceOf(pack, i, i + 1));
      await this.#ports.works.put(quarantineKey(message, i), [header, body]);
    }
  }

  /** The model of a pack that a lane has let through. */
  #modelOf({ stage }: PackMessage): HeldModel {
    return this.#options.models.get(stage) as HeldModel;
  }
}

function withShadows(
  records: readonly AuditRecord[],
  { items }: PackHeader,
  shadows: Inferred['shadows'],
): AuditRecord[] {
  const seen = new Map(items.map(({ index }, i) => [index, shadows[i]]));
  return records.map((record, index) => {
    const result = seen.get(index);
    if (result === undefined || record.state !== 'audited') return record;
    const shadow =
      result instanceof EngineFault ? { scores: {}, error: result.reason } : { scores: result, error: null };
    return { ...record, shadow: { verdict: null, ...shadow } };
  });
}
