import PQueue from 'p-queue';
import { encodePart } from '#adapters/parquet-audit.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import type { Scores } from '#core/decode/classification.ts';
import type { ImageResult } from '#core/decode/read-outputs.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { partKey, quarantineKey } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { type ModelManifest, scoreNames } from '#core/model-manifest.ts';
import { encodePack, type Pack, type PackHeader } from '#core/pack.ts';
import { EngineFault, recordsOfPack } from '#core/pack-records.ts';
import { type Policy, policyHash } from '#core/policy.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import { carriedUsage } from './carried-usage.ts';
import { cutPacks } from './cut-packs.ts';
import { FeedMeter } from './feed-meter.ts';
import { type FollowingStages, writeFollowUps } from './follow-ups.ts';
import type { HeldModel } from './held-models.ts';
import { inferByHalves, inferPacks, sliceOf } from './infer-packs.ts';
import { type BatchOptions, LaneBatches } from './lane-batches.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { checkModelFits } from './model-batch.ts';
import { type PackFiles, storedPackFiles } from './pack-files.ts';
import { type LoadedPack, PackLane } from './pack-lane.ts';
import { RecycledMemory } from './recycled-memory.ts';
import { releasePack } from './shared-pack.ts';

export interface InferenceWorkerOptions extends BatchOptions {
  /** Of the first stage, or the only one. */
  readonly manifest: ModelManifest;
  /** What the first stage is called; left out, as its model. */
  readonly stage?: string;
  readonly softwareVersion: string;
  /** Packs of one lane that are loading or loaded while others are inferred. */
  readonly prefetchPacks: number;
}

export interface InferenceWorkerPorts {
  readonly works: ObjectStore;
  /** Packs that somebody waits for; they go first. */
  readonly live?: MessageQueue;
  readonly bulk: MessageQueue;
  /** Of the first stage, or the only one. */
  readonly engine: Engine;
  /** A model beside the first stage's, which decides nothing. */
  readonly shadow?: HeldModel['shadow'];
  /** The models of the other stages of a cascade. */
  readonly following?: readonly HeldModel[];
  /** What a part comes to for other stages; left out, every stage is the last one. */
  readonly followUps?: FollowingStages;
  /** Reads packs on other threads; left out, they are read on this one. */
  fetchThreads?(memory: RecycledMemory): PackFiles & AsyncDisposable;
  /** The policy that a job's images are judged by at a stage. */
  policyOf(job: string, stage: string): Promise<Policy>;
  /** Asks for a pack again that is gone or damaged. */
  remake?(message: PackMessage): Promise<void>;
  /** Does what is to be done about the verdicts of a part that is written; must bear being repeated. */
  act?(message: PackMessage, records: readonly AuditRecord[]): Promise<void>;
  onBatch?(batch: { images: number; packs: number; waitedMs: readonly number[] }): void;
  onPart?(records: readonly AuditRecord[], lane: 'live' | 'bulk'): void;
  /** A delivery that did not lead to a part, and why; the queue delivers it again or gives it up. */
  onFailedDelivery?(message: PackMessage | undefined, reason: string): void;
}

/** Each waits for the store and the queue three times in turn: fewer would keep a fast GPU waiting. */
const COMMITS_IN_FLIGHT = 16;
const MAX_REMAKES = 3;

type Result = ImageResult | EngineFault;

/** A pack and what became of its items. */
interface Inferred {
  readonly loaded: LoadedPack;
  readonly results: readonly Result[];
  /** What the stage's shadow made of the same items; empty where there is none, or it failed. */
  readonly shadows: readonly Scores[];
}

/**
 * The GPU stage: packs in, parts out. Three steps overlap: load the next packs, run the model on the present
 * ones, commit the last ones.
 *
 * Each lane has a loop of its own, and the engine takes their batches in turn: a live image waits for one step of the
 * engine and not for a whole batch of a backfill, and however much is live, every other turn is the backfill's.
 *
 * The life of a delivery: received → loaded → inferred → follow-ups written → their packs cut → part written → follow-ups
 * sent → actions run → acknowledged → pack deleted, by the last of the stages that see it.
 * A crash at any point repeats work and loses nothing, because the part's key follows from the pack's id and its rows
 * from the pack. The first part that is written under a key stays: what comes later says the same.
 */
export class InferenceWorker {
  /** What the model's time goes into. */
  readonly meter = new FeedMeter();
  readonly #timesSinceBatch = this.meter.reader();
  readonly #options: InferenceWorkerOptions;
  readonly #ports: InferenceWorkerPorts;
  readonly #models: ReadonlyMap<string, HeldModel>;
  readonly #memory = new RecycledMemory();

  /** @throws SluiceError `model-invalid` where the manifest does not fit the engine's model. */
  constructor(options: InferenceWorkerOptions, ports: InferenceWorkerPorts) {
    const { manifest, stage = manifest.name } = options;
    const { engine, shadow, following = [] } = ports;
    const models: HeldModel[] = [{ stage, manifest, engine, ...(shadow && { shadow }) }, ...following];
    for (const model of models) {
      checkModelFits(model.manifest, model.engine);
      if (model.shadow !== undefined) checkModelFits(model.shadow.manifest, model.shadow.engine);
    }
    this.#models = new Map(models.map((model) => [model.stage, model]));
    this.#options = options;
    this.#ports = ports;
  }

  /**
   * Works until `stop` is aborted, then finishes what is in the model's hands and gives the rest back at once.
   *
   * @throws SluiceError `engine-unavailable` when the engine died: nothing more can be done in this process.
   */
  async run(stop: AbortSignal): Promise<void> {
    const engineDied = new AbortController();
    const halt = AbortSignal.any([stop, engineDied.signal]);
    using keeper = new LeaseKeeper(this.#shortestVisibilityMs());
    const { live, bulk, works, fetchThreads } = this.#ports;
    await using threads = fetchThreads?.(this.#memory);
    const files = threads ?? storedPackFiles(works, this.#memory);
    const lanes = [
      ...(live === undefined ? [] : [this.#lane('live', live, files, keeper)]),
      this.#lane('bulk', bulk, files, keeper),
    ];
    await Promise.all(
      lanes.flatMap((lane) => [lane.run(halt), this.#work(lane, halt, (error) => engineDied.abort(error))]),
    );
    engineDied.signal.throwIfAborted();
  }

  /** Infers and commits what a lane makes ready, until it is over: as many batches at a time as the engine takes. */
  async #work(lane: PackLane, halt: AbortSignal, onEngineDied: (error: unknown) => void): Promise<void> {
    const batches = new LaneBatches(lane, this.#options, this.meter);
    const commits = new PQueue({ concurrency: COMMITS_IN_FLIGHT });
    const runsInFlight = Math.max(
      ...[...this.#models.values()].map(({ engine }) => engine.runsInFlight ?? 1),
    );
    const runs = Array.from({ length: runsInFlight }, (_, i) => `${lane.name} ${i}`);
    await Promise.all(
      runs.map(async (run) => {
        for (let batch = await batches.next(); batch !== undefined; batch = await batches.next()) {
          if (halt.aborted) {
            await giveBack(batch);
            continue;
          }
          this.meter.enter(run, 'run');
          const held = batch;
          const done = await this.#infer(held).catch(async (error: unknown) => {
            onEngineDied(error);
            await giveBack(held);
            return [];
          });
          this.meter.enter(run, 'commit');
          await commits.onSizeLessThan(COMMITS_IN_FLIGHT);
          for (const inferred of done)
            void commits.add(() => inferred.loaded.tally.run(() => this.#commit(inferred)));
          this.meter.enter(run, 'message');
        }
      }),
    );
    await commits.onIdle();
  }

  #shortestVisibilityMs(): number {
    const { live, bulk } = this.#ports;
    return Math.min(bulk.visibilityMs, live?.visibilityMs ?? Number.POSITIVE_INFINITY);
  }

  #lane(name: 'live' | 'bulk', packs: MessageQueue, files: PackFiles, keeper: LeaseKeeper): PackLane {
    const { works, remake, onFailedDelivery } = this.#ports;
    const { prefetchPacks } = this.#options;
    const models = [...this.#models.values()];
    return new PackLane(
      {
        name,
        prefetchPacks,
        stages: new Map(models.map(({ stage, manifest }) => [stage, preprocessHash(manifest.preprocess)])),
        maxRemakes: MAX_REMAKES,
      },
      {
        works,
        packs,
        keeper,
        files,
        memory: this.#memory,
        ...(remake && { remake }),
        ...(onFailedDelivery && { onFailedDelivery }),
      },
    );
  }

  /** @throws SluiceError `engine-unavailable`, and nothing else: any other trouble is one pack's. */
  async #infer(batch: readonly LoadedPack[]): Promise<Inferred[]> {
    const { manifest, engine, shadow } = this.#modelOf((batch[0] as LoadedPack).message);
    const now = Date.now();
    this.#ports.onBatch?.({
      images: batch.reduce((sum, { pack }) => sum + pack.header.items.length, 0),
      packs: batch.length,
      waitedMs: batch.map(({ lease }) => now - lease.sentAt.getTime()),
    });
    // The engine takes the pixels with it: what is to see them after it needs its own.
    const copies = shadow && batch.map(({ pack }) => sliceOf(pack, 0, pack.header.items.length));
    try {
      const results = await inferPacks(
        batch.map(({ pack }) => pack),
        manifest,
        engine,
        this.#memory,
      );
      this.#countBatch(batch);
      const shadows = shadow && (await this.#shadowScores(copies ?? [], shadow));
      let from = 0;
      return batch.map((loaded) => {
        const to = from + loaded.pack.header.items.length;
        const own = { results: results.slice(from, to), shadows: shadows?.slice(from, to) ?? [] };
        from = to;
        return { loaded, ...own };
      });
    } catch (error) {
      if (isDead(error)) throw error;
      // The engine took the tensors with it: each pack is loaded afresh and tried for itself.
      const done: Inferred[] = [];
      for (const loaded of batch) {
        const { lane, lease, message, tally } = loaded;
        try {
          const results = await tally.run(() =>
            inferByHalves(() => lane.load(message), manifest, engine, this.#memory),
          );
          this.#countBatch([loaded]);
          done.push({ loaded, results, shadows: [] });
        } catch (error) {
          if (isDead(error)) throw error;
          await lane.refuse(lease, message, error, tally);
        }
      }
      return done;
    }
  }

  /** What a shadow makes of the same pictures; nothing where it fails, since nothing hangs on it. */
  async #shadowScores(
    packs: readonly Pack[],
    { manifest, engine }: NonNullable<HeldModel['shadow']>,
  ): Promise<readonly Scores[]> {
    try {
      const results = await inferPacks(packs, manifest, engine, this.#memory);
      return results.map(({ scores }) => scores);
    } catch (error) {
      this.#ports.onFailedDelivery?.(undefined, `shadow "${manifest.name}": ${messageOf(error)}`);
      return [];
    }
  }

  /**
   * The order is the design's: follow-ups and their packs, part, messages for the follow-ups, actions, acknowledgement, pack.
   * Where a part is, its follow-ups are, so what is expected of the next stage follows from the parts of this one.
   */
  async #commit({ loaded, results, shadows }: Inferred): Promise<void> {
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
        this.#memory,
      );
      const { manifest, shadow } = this.#modelOf(message);
      const carried = carriedUsage(message.usage ?? [], pack.header.usage ?? []);
      const part = encodePart(
        records,
        scoreNames(manifest),
        tally.seal({ carried }),
        shadow === undefined ? [] : scoreNames(shadow.manifest),
      );
      const outcome = await works.put(partKey(message), part, { ifAbsent: true });
      if (outcome === 'written') tally.stored();
      else tally.wasted();
      // A part that exists on the first delivery was written by another delivery, which acts on it; on a later one
      // it may be ours, from a try that did not get further.
      const isOurs = outcome === 'written' || lease.deliveryCount > 1;
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

  /** The time since the last batch, and the room in this one, in shares of its packs by their images. */
  #countBatch(batch: readonly LoadedPack[]): void {
    const times = this.#timesSinceBatch();
    const images = batch.reduce((sum, { pack }) => sum + pack.header.items.length, 0);
    const slots = images === 0 ? 0 : Math.max(this.#options.batchSize, images);
    for (const { pack, tally } of batch) {
      const own = pack.header.items.length;
      const share = images === 0 ? 1 / batch.length : own / images;
      const ms = Object.fromEntries(Object.entries(times).map(([state, all]) => [state, all * share]));
      tally.add({ ms, counts: { images: own, slots: slots * share } });
    }
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
      model: manifest.name,
      modelSha256: manifest.sha256,
      preprocessHash: header.preprocessHash,
      policyHash: policyHash(policy),
      softwareVersion,
      decoderVersion: header.decoderVersion,
      provider: engine.provider,
    });
  }

  /** The model of a pack that a lane has let through. */
  #modelOf({ stage }: PackMessage): HeldModel {
    return this.#models.get(stage) as HeldModel;
  }

  /** Keeps the pixels of an image that the model failed on: whoever mends the model needs them. */
  async #quarantine({ lane, message }: LoadedPack, results: readonly Result[]): Promise<void> {
    if (!results.some((result) => result instanceof EngineFault)) return;
    const pack = await lane.load(message).catch((error: unknown) => {
      if (error instanceof SluiceError && error.code === 'object-missing') return undefined;
      throw error;
    });
    for (const [i, result] of results.entries()) {
      if (!(result instanceof EngineFault) || pack === undefined) continue;
      await this.#ports.works.put(quarantineKey(message, i), filePieces(sliceOf(pack, i, i + 1)));
    }
  }
}

function withShadows(
  records: readonly AuditRecord[],
  { items }: PackHeader,
  shadows: readonly Scores[],
): AuditRecord[] {
  const seen = new Map(items.map(({ index }, i) => [index, shadows[i]]));
  return records.map((record, index) => {
    const scores = seen.get(index);
    if (scores === undefined || record.state !== 'audited') return record;
    return { ...record, shadow: { verdict: null, scores } };
  });
}

function isDead(error: unknown): boolean {
  return error instanceof SluiceError && error.code === 'engine-unavailable';
}

async function giveBack(batch: readonly LoadedPack[]): Promise<void> {
  await Promise.all(batch.map((loaded) => loaded.lane.giveBack(loaded).catch(() => undefined)));
}

function filePieces(pack: Pack): Buffer[] {
  const { header, body } = encodePack(pack);
  return [header, body];
}
