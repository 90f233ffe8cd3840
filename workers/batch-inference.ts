import { spentIdle } from '#adapters/meter.ts';
import type { ImageResult } from '#core/decode/read-outputs.ts';
import { hasCode, messageOf } from '#core/error.ts';
import type { PackMessage } from '#core/messages.ts';
import type { Pack } from '#core/pack.ts';
import { EngineFault } from '#core/pack-records.ts';
import type { FeedMeter, FeedTimes } from './feed-meter.ts';
import type { HeldModel } from './held-models.ts';
import { inferPacks, inferPiecemeal, sliceOf } from './infer-packs.ts';
import type { LostStages } from './lost-stages.ts';
import type { LoadedPack, PackLane } from './pack-lane.ts';
import { PresentJobs } from './present-jobs.ts';
import type { RecycledMemory } from './recycled-memory.ts';

/** What a model makes of an item of a pack, or why it makes nothing of it. */
export type Result = ImageResult | EngineFault;

/** A pack and what became of its items. */
export interface Inferred {
  readonly loaded: LoadedPack;
  readonly results: readonly Result[];
  /** What the stage's shadow made of the same items, or why it made nothing; empty where there is none. */
  readonly shadows: readonly (ImageResult['scores'] | EngineFault)[];
}

/** A shadow costs no second try where the stage's own model did. */
const NOT_ASKED = new EngineFault("it was not asked: the stage's own model failed on the same batch");

export interface BatchInferenceOptions {
  readonly batchSize: number;
  /** The models that are held, by their stages. */
  readonly models: ReadonlyMap<string, HeldModel>;
  readonly memory: RecycledMemory;
  readonly meter: FeedMeter;
  /** Gets to know which stages lose their engines. */
  readonly lost: LostStages;
}

/** A batch that is about to be run. */
export interface BatchFacts {
  readonly lane: PackLane['name'];
  readonly images: number;
  readonly packs: number;
  /** Of each pack, since it was announced. */
  readonly waitedMs: readonly number[];
}

export interface BatchInferencePorts {
  onBatch?(batch: BatchFacts): void;
  /** A run of a model has ended, one way or another. */
  onRun?(): void;
  onFailedDelivery?(message: PackMessage | undefined, reason: string): void;
  /** The model of a stage takes no more batches, here and in this process: its packs go back. Told once. */
  onStageGivenUp?(stage: string, reason: string): void;
}

/**
 * Runs the models of a worker on batches of packs. A batch that a model fails on is taken apart, pack by pack, then piece by
 * piece; a pack of which nothing can be made goes back to its queue. So does every pack of a stage whose model is given
 * up: that is no matter of the other stages.
 */
export class BatchInference {
  readonly #options: BatchInferenceOptions;
  readonly #ports: BatchInferencePorts;
  readonly #timesSinceBatch: ReturnType<FeedMeter['reader']>;
  readonly #givenUp = new Set<string>();
  readonly #presentJobs = new PresentJobs();

  constructor(options: BatchInferenceOptions, ports: BatchInferencePorts) {
    this.#options = options;
    this.#ports = ports;
    this.#timesSinceBatch = options.meter.reader();
  }

  /** Nothing more is to come: since the last batch there was nothing to do. */
  end(): void {
    spentIdle('worker', { ms: this.#timesSinceBatch() });
  }

  /**
   * @param batch packs of one stage.
   * @returns those of which something came.
   * @throws SluiceError `engine-unavailable`, and nothing else: any other trouble is one pack's, or one stage's.
   */
  async infer(batch: readonly LoadedPack[]): Promise<Inferred[]> {
    const model = this.#modelOf((batch[0] as LoadedPack).message);
    const { shadow } = model;
    this.#announce(batch);
    // The engine takes the pixels with it: what is to see them after it needs its own.
    const copies = shadow && batch.map(({ pack }) => sliceOf(pack, 0, pack.header.items.length));
    let results: ImageResult[];
    try {
      results = await this.#runStage(
        batch.map(({ pack }) => pack),
        model,
      );
    } catch (error) {
      if (hasCode(error, 'engine-unavailable')) throw error;
      return this.#inferOneByOne(batch, error);
    }
    this.#countBatch(batch);
    const shadows = shadow && (await this.#shadowScores(copies ?? [], shadow));
    let from = 0;
    return batch.map((loaded) => {
      const to = from + loaded.pack.header.items.length;
      const own = { results: results.slice(from, to), shadows: shadows?.slice(from, to) ?? [] };
      from = to;
      return { loaded, ...own };
    });
  }

  /** The engine took the tensors with it: each pack is loaded afresh and tried for itself. */
  async #inferOneByOne(batch: readonly LoadedPack[], failure: unknown): Promise<Inferred[]> {
    const done: Inferred[] = [];
    for (const loaded of batch) {
      const { lane, lease, message, tally } = loaded;
      try {
        const results = await tally.run(() => this.#inferPiecemeal(loaded, failure));
        this.#countBatch([loaded]);
        const { shadow } = this.#modelOf(message);
        done.push({ loaded, results, shadows: shadow === undefined ? [] : results.map(() => NOT_ASKED) });
      } catch (error) {
        if (hasCode(error, 'engine-unavailable')) throw error;
        if (hasCode(error, 'engine-given-up')) this.#giveUp(message.stage, error.message);
        await lane.refuse(lease, message, error, tally);
      }
    }
    return done;
  }

  async #inferPiecemeal({ lane, message }: LoadedPack, failure: unknown): Promise<Result[]> {
    // Nothing is tried any more: there is no use in loading the pack again.
    if (hasCode(failure, 'engine-given-up')) throw failure;
    const model = this.#modelOf(message);
    return inferPiecemeal(
      () => lane.load(message),
      (packs) => this.#runStage(packs, model),
      failure,
    );
  }

  #giveUp(stage: string, reason: string): void {
    if (this.#givenUp.has(stage)) return;
    this.#givenUp.add(stage);
    this.#ports.onStageGivenUp?.(stage, reason);
  }

  /** What a shadow makes of the same pictures, or why it makes nothing: nothing hangs on it. */
  async #shadowScores(
    packs: readonly Pack[],
    shadow: NonNullable<HeldModel['shadow']>,
  ): Promise<Inferred['shadows']> {
    try {
      const results = await this.#run(packs, shadow);
      return results.map(({ scores }) => scores);
    } catch (error) {
      this.#ports.onFailedDelivery?.(undefined, `shadow "${shadow.manifest.name}": ${messageOf(error)}`);
      const fault = new EngineFault(messageOf(error));
      return packs.flatMap(({ header }) => header.items.map(() => fault));
    }
  }

  /** The results of all items of the packs, whose pixels are gone after it. */
  async #run(
    packs: readonly Pack[],
    { manifest, engine }: Pick<HeldModel, 'manifest' | 'engine'>,
  ): Promise<ImageResult[]> {
    try {
      return await inferPacks(packs, manifest, engine, this.#options.memory);
    } finally {
      this.#ports.onRun?.();
    }
  }

  /** The same, of a stage's own model: how it ends tells whether the stage has its engine. */
  async #runStage(packs: readonly Pack[], model: HeldModel): Promise<ImageResult[]> {
    const { lost } = this.#options;
    try {
      const results = await this.#run(packs, model);
      lost.set(model.stage, false);
      return results;
    } catch (error) {
      lost.set(model.stage, hasCode(error, 'engine-lost'));
      throw error;
    }
  }

  #announce(batch: readonly LoadedPack[]): void {
    const now = Date.now();
    this.#ports.onBatch?.({
      lane: (batch[0] as LoadedPack).lane.name,
      images: imagesOf(batch),
      packs: batch.length,
      waitedMs: batch.map(({ lease }) => now - lease.sentAt.getTime()),
    });
  }

  /** The time since the last batch, and the room in this one, in shares of its packs by their images. */
  #countBatch(batch: readonly LoadedPack[]): void {
    const times = this.#ownTimes(batch.map(({ message }) => message.job));
    const images = imagesOf(batch);
    const slots = images === 0 ? 0 : Math.max(this.#options.batchSize, images);
    for (const { pack, tally } of batch) {
      const own = pack.header.items.length;
      const share = images === 0 ? 1 / batch.length : own / images;
      const ms = Object.fromEntries(Object.entries(times).map(([state, all]) => [state, all * share]));
      tally.add({ ms, counts: { images: own, slots: slots * share } });
    }
  }

  /** The times since the last batch. What was waited before a job's first pack is not the job's: the pipeline was idle. */
  #ownTimes(jobs: readonly string[]): Partial<FeedTimes> {
    const { message, ...busy } = this.#timesSinceBatch();
    if (!this.#presentJobs.comeUp(jobs)) return { message, ...busy };
    spentIdle('worker', { ms: { message } });
    return busy;
  }

  /** The model of a pack that a lane has let through. */
  #modelOf({ stage }: PackMessage): HeldModel {
    return this.#options.models.get(stage) as HeldModel;
  }
}

function imagesOf(batch: readonly LoadedPack[]): number {
  return batch.reduce((sum, { pack }) => sum + pack.header.items.length, 0);
}
