import PQueue from 'p-queue';
import type { PackMessage } from '#core/messages.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import { modelReceipt } from '#core/model-receipt.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import { BatchInference, type BatchInferencePorts } from './batch-inference.ts';
import { FeedMeter } from './feed-meter.ts';
import type { HeldModel } from './held-models.ts';
import { type BatchOptions, LaneBatches } from './lane-batches.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { LostStages } from './lost-stages.ts';
import { checkModelFits } from './model-batch.ts';
import { PackCommits, type PackCommitsPorts } from './pack-commits.ts';
import { type PackFiles, storedPackFiles } from './pack-files.ts';
import { type LoadedPack, PackLane } from './pack-lane.ts';
import { RecycledMemory } from './recycled-memory.ts';
import { withinDrain } from './within-drain.ts';

export interface InferenceWorkerOptions extends BatchOptions {
  /** Of the first stage, or the only one. */
  readonly manifest: ModelManifest;
  /** What the first stage is called; left out, as its model. */
  readonly stage?: string;
  readonly softwareVersion: string;
  /** Packs of one lane that are loading or loaded while others are inferred; of each further stage one may be beside them. */
  readonly prefetchPacks: number;
  /** Left out, a drain takes as long as it takes. */
  readonly drainLimitMs?: number;
}

export interface InferenceWorkerPorts extends BatchInferencePorts, PackCommitsPorts {
  /** Packs that somebody waits for; they go first. */
  readonly live?: MessageQueue;
  readonly bulk: MessageQueue;
  /** Of the first stage, or the only one. */
  readonly engine: Engine;
  /** A model beside the first stage's, which decides nothing. */
  readonly shadow?: HeldModel['shadow'];
  /** The models of the other stages of a cascade. */
  readonly following?: readonly HeldModel[];
  /** Reads packs on other threads; left out, they are read on this one. */
  fetchThreads?(memory: RecycledMemory): PackFiles & AsyncDisposable;
  /** Asks for a pack again that is gone or damaged. */
  remake?(message: PackMessage): Promise<void>;
}

/** Each waits for the store and the queue three times in turn: fewer would keep a fast GPU waiting. */
const COMMITS_IN_FLIGHT = 16;
const MAX_REMAKES = 3;

/**
 * The GPU stage: packs in, parts out. Three steps overlap: load the next packs, run the model on the present
 * ones, commit the last ones.
 *
 * Each lane has a loop of its own for each stage, and an engine takes the batches of both lanes in turn: a live image
 * waits for one step of the engine and not for a whole batch of a backfill, and however much is live, every other turn is
 * the backfill's. No stage waits for another one's engine: one that hangs costs the others nothing but its share of the
 * room for packs.
 *
 * The life of a delivery: received → loaded → inferred → follow-ups written → their packs cut → part written → follow-ups
 * sent → actions run → acknowledged → pack deleted, by the last of the stages that see it.
 * A crash at any point repeats work and loses nothing, because the part's key follows from the pack's id and its rows
 * from the pack. The first part that is written under a key stays: what comes later says the same.
 */
export class InferenceWorker {
  /** What the model's time goes into. */
  readonly meter = new FeedMeter();
  readonly #options: InferenceWorkerOptions;
  readonly #ports: InferenceWorkerPorts;
  readonly #models: ReadonlyMap<string, HeldModel>;
  readonly #memory = new RecycledMemory();
  readonly #lost = new LostStages();
  readonly #inference: BatchInference;
  readonly #commits: PackCommits;

  /** @throws SluiceError `model-invalid` where the manifest does not fit the engine's model. */
  constructor(options: InferenceWorkerOptions, ports: InferenceWorkerPorts) {
    const { manifest, stage = manifest.name, batchSize, softwareVersion } = options;
    const { engine, shadow, following = [] } = ports;
    const models: HeldModel[] = [{ stage, manifest, engine, ...(shadow && { shadow }) }, ...following];
    for (const model of models) {
      checkModelFits(model.manifest, model.engine);
      if (model.shadow !== undefined) checkModelFits(model.shadow.manifest, model.shadow.engine);
    }
    this.#models = new Map(models.map((model) => [model.stage, model]));
    this.#options = options;
    this.#ports = ports;
    const shared = { models: this.#models, memory: this.#memory, meter: this.meter, lost: this.#lost };
    this.#inference = new BatchInference({ ...shared, batchSize }, ports);
    this.#commits = new PackCommits({ ...shared, softwareVersion }, ports);
  }

  /**
   * Works until `stop` is aborted, then finishes what is in the model's hands and gives the rest back at once. What is
   * not finished within `drainLimitMs` goes back as well, and is left to come to nothing.
   *
   * @returns how many packs were held when that limit was over.
   * @throws SluiceError `engine-unavailable` when the engine died: nothing more can be done in this process.
   */
  async run(stop: AbortSignal): Promise<number> {
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
    const work = Promise.all(
      lanes.flatMap((lane) => [lane.run(halt), this.#work(lane, halt, (error) => engineDied.abort(error))]),
    );
    const { drainLimitMs } = this.#options;
    if (drainLimitMs === undefined) await work;
    else if (!(await withinDrain(work, stop, drainLimitMs))) return keeper.giveBackAll();
    this.#inference.end();
    engineDied.signal.throwIfAborted();
    return 0;
  }

  /** Infers and commits what a lane makes ready, until it is over: as many batches at a time as each engine takes. */
  async #work(lane: PackLane, halt: AbortSignal, onEngineDied: (error: unknown) => void): Promise<void> {
    const commits = new PQueue({ concurrency: COMMITS_IN_FLIGHT });
    const runs = [...this.#models.values()].flatMap(({ stage, engine }) => {
      const batches = new LaneBatches(lane, stage, this.#options, this.meter);
      const name = `${lane.name} ${stage}`;
      return Array.from({ length: engine.runsInFlight ?? 1 }, (_, i) => ({ run: `${name} ${i}`, batches }));
    });
    await Promise.all(
      runs.map(async ({ run, batches }) => {
        for (let batch = await batches.next(); batch !== undefined; batch = await batches.next()) {
          if (halt.aborted) {
            await giveBack(batch);
            continue;
          }
          this.meter.enter(run, 'run');
          const held = batch;
          const done = await this.#inference.infer(held).catch(async (error: unknown) => {
            onEngineDied(error);
            await refuse(held, error);
            return [];
          });
          this.meter.enter(run, 'commit');
          await commits.onSizeLessThan(COMMITS_IN_FLIGHT);
          for (const inferred of done)
            void commits.add(() => inferred.loaded.tally.run(() => this.#commits.commit(inferred)));
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
        stages: new Map(models.map(({ stage, manifest }) => [stage, modelReceipt(manifest)])),
        maxRemakes: MAX_REMAKES,
      },
      {
        works,
        packs,
        keeper,
        files,
        memory: this.#memory,
        lost: this.#lost,
        ...(remake && { remake }),
        finish: (message) => this.#commits.finish(message),
        ...(onFailedDelivery && { onFailedDelivery }),
      },
    );
  }
}

async function giveBack(batch: readonly LoadedPack[]): Promise<void> {
  await Promise.all(batch.map((loaded) => loaded.lane.giveBack(loaded).catch(() => undefined)));
}

/** What was in the hands of an engine that died: it may be what the engine died of, so it says why it comes back. */
async function refuse(batch: readonly LoadedPack[], error: unknown): Promise<void> {
  await Promise.all(
    batch.map(({ lane, lease, message, tally }) => lane.refuse(lease, message, error, tally)),
  );
}
