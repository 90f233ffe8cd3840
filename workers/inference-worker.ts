import PQueue from 'p-queue';
import { encodePart } from '#adapters/parquet-audit.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { packKey, partKey, quarantineKey } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { type ModelManifest, scoreNames } from '#core/model-manifest.ts';
import { encodePack, type Pack, type PackHeader } from '#core/pack.ts';
import { EngineFault, recordsOfPack } from '#core/pack-records.ts';
import { type Policy, policyHash } from '#core/policy.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import type { UsageRecord } from '#core/usage.ts';
import { FeedMeter } from './feed-meter.ts';
import { inferByHalves, inferPacks, type Scores, sliceOf } from './infer-packs.ts';
import { type BatchOptions, LaneBatches } from './lane-batches.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { checkModelFits } from './model-batch.ts';
import { type PackFiles, storedPackFiles } from './pack-files.ts';
import { type LoadedPack, PackLane } from './pack-lane.ts';
import { RecycledMemory } from './recycled-memory.ts';

export interface InferenceWorkerOptions extends BatchOptions {
  readonly manifest: ModelManifest;
  readonly softwareVersion: string;
  /** Packs of one lane that are loading or loaded while others are inferred. */
  readonly prefetchPacks: number;
}

export interface InferenceWorkerPorts {
  readonly works: ObjectStore;
  /** Packs that somebody waits for; they go first. */
  readonly live?: MessageQueue;
  readonly bulk: MessageQueue;
  readonly engine: Engine;
  /** Reads packs on other threads; left out, they are read on this one. */
  fetchThreads?(memory: RecycledMemory): PackFiles & AsyncDisposable;
  /** The policy that a job's images are judged by. */
  policyOf(job: string): Promise<Policy>;
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

/**
 * The GPU stage: packs in, parts out. Three steps overlap: load the next packs, run the model on the present
 * ones, commit the last ones.
 *
 * Each lane has a loop of its own, and the engine takes their batches in turn: a live image waits for one step of the
 * engine and not for a whole batch of a backfill, and however much is live, every other turn is the backfill's.
 *
 * The life of a delivery: received → loaded → inferred → part written → actions run → acknowledged → pack deleted.
 * A crash at any point repeats work and loses nothing, because the part's key follows from the pack's id and its rows
 * from the pack. The first part that is written under a key stays: what comes later says the same.
 */
export class InferenceWorker {
  /** What the model's time goes into. */
  readonly meter = new FeedMeter();
  readonly #timesSinceBatch = this.meter.reader();
  readonly #options: InferenceWorkerOptions;
  readonly #ports: InferenceWorkerPorts;
  readonly #scores: readonly string[];
  readonly #memory = new RecycledMemory();

  /** @throws SluiceError `model-invalid` where the manifest does not fit the engine's model. */
  constructor(options: InferenceWorkerOptions, ports: InferenceWorkerPorts) {
    checkModelFits(options.manifest, ports.engine);
    this.#options = options;
    this.#ports = ports;
    this.#scores = scoreNames(options.manifest);
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
    const runs = Array.from({ length: this.#ports.engine.runsInFlight ?? 1 }, (_, i) => `${lane.name} ${i}`);
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
          for (const { loaded, scores } of done) {
            void commits.add(() => loaded.tally.run(() => this.#commit(loaded, scores)));
          }
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
    const { manifest, prefetchPacks } = this.#options;
    return new PackLane(
      {
        name,
        prefetchPacks,
        stage: manifest.name,
        preprocessHash: preprocessHash(manifest.preprocess),
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
  async #infer(
    batch: readonly LoadedPack[],
  ): Promise<{ loaded: LoadedPack; scores: readonly (Scores | EngineFault)[] }[]> {
    const { manifest } = this.#options;
    const { engine } = this.#ports;
    const now = Date.now();
    this.#ports.onBatch?.({
      images: batch.reduce((sum, { pack }) => sum + pack.header.items.length, 0),
      packs: batch.length,
      waitedMs: batch.map(({ lease }) => now - lease.sentAt.getTime()),
    });
    try {
      const scores = await inferPacks(
        batch.map(({ pack }) => pack),
        manifest,
        engine,
        this.#memory,
      );
      this.#countBatch(batch);
      let from = 0;
      return batch.map((loaded) => {
        const to = from + loaded.pack.header.items.length;
        const own = scores.slice(from, to);
        from = to;
        return { loaded, scores: own };
      });
    } catch (error) {
      if (isDead(error)) throw error;
      // The engine took the tensors with it: each pack is loaded afresh and tried for itself.
      const done: { loaded: LoadedPack; scores: readonly (Scores | EngineFault)[] }[] = [];
      for (const loaded of batch) {
        const { lane, lease, message, tally } = loaded;
        try {
          const scores = await tally.run(() =>
            inferByHalves(() => lane.load(message), manifest, engine, this.#memory),
          );
          this.#countBatch([loaded]);
          done.push({ loaded, scores });
        } catch (error) {
          if (isDead(error)) throw error;
          await lane.refuse(lease, message, error, tally);
        }
      }
      return done;
    }
  }

  /** The order is the design's: part, actions, acknowledgement, pack. */
  async #commit(loaded: LoadedPack, scores: readonly (Scores | EngineFault)[]): Promise<void> {
    const { lane, lease, message, pack, tally } = loaded;
    const { works, act } = this.#ports;
    try {
      const records = await this.#recordsOf(message, pack.header, scores);
      await this.#quarantine(loaded, scores);
      const carried = carriedUsage(message.usage ?? [], pack.header.usage ?? []);
      const part = encodePart(records, this.#scores, tally.seal({ carried }));
      const outcome = await works.put(partKey(message), part, { ifAbsent: true });
      if (outcome === 'written') tally.stored();
      else tally.wasted();
      // A part that exists on the first delivery was written by another delivery, which acts on it; on a later one
      // it may be ours, from a try that did not get further.
      if (act !== undefined && (outcome === 'written' || lease.deliveryCount > 1))
        await act(message, records);
      await lease.ack();
      lane.settle(lease);
      if (!('inline' in message.pack)) await works.delete([packKey(message)]);
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
    scores: readonly (Scores | EngineFault)[],
  ): Promise<AuditRecord[]> {
    const { manifest, softwareVersion } = this.#options;
    const policy = await this.#ports.policyOf(message.job);
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
      provider: this.#ports.engine.provider,
    });
  }

  /** Keeps the pixels of an image that the model failed on: whoever mends the model needs them. */
  async #quarantine({ lane, message }: LoadedPack, scores: readonly unknown[]): Promise<void> {
    if (!scores.some((score) => score instanceof EngineFault)) return;
    const pack = await lane.load(message).catch((error: unknown) => {
      if (error instanceof SluiceError && error.code === 'object-missing') return undefined;
      throw error;
    });
    for (const [i, score] of scores.entries()) {
      if (!(score instanceof EngineFault) || pack === undefined) continue;
      await this.#ports.works.put(quarantineKey(message, i), filePieces(sliceOf(pack, i, i + 1)));
    }
  }
}

/**
 * The records that came with a message and with its pack. As a rule the pack's are among the message's; where they are
 * not, the pack was made twice: then this one was for nothing, unless its own message never came.
 */
function carriedUsage(ofMessage: readonly UsageRecord[], ofPack: readonly UsageRecord[]): UsageRecord[] {
  const known = new Set(ofMessage.map(({ id }) => id));
  const made = ofMessage.some(({ waste, usage }) => !waste && usage.counts['packs'] !== undefined);
  const others = ofPack.filter(({ id }) => !known.has(id));
  return [...ofMessage, ...others.map((record) => ({ ...record, waste: made || record.waste }))];
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
