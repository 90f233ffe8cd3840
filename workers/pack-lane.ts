import PQueue from 'p-queue';
import { inCallersTally, Tally } from '#adapters/meter.ts';
import { Condition } from '#core/condition.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { packIdText, packKey, partKey } from '#core/job-layout.ts';
import { PackMessage, parseMessage } from '#core/messages.ts';
import type { ModelReceipt } from '#core/model-receipt.ts';
import { decodePack, type Pack } from '#core/pack.ts';
import type { Lease, MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { LostStages } from './lost-stages.ts';
import type { PackFiles } from './pack-files.ts';
import type { RecycledMemory } from './recycled-memory.ts';
import { seenByStage, storedPackId } from './shared-pack.ts';
import { type Delivery, LaneRoom, StageLine } from './stage-line.ts';

/** A pack that is ready to be inferred, and the delivery that it came by. */
export interface LoadedPack extends Delivery {
  readonly pack: Pack;
  readonly lane: PackLane;
}

export interface PackLaneOptions {
  readonly name: 'live' | 'bulk';
  /** Packs that are loading or ready at the same time; of each further stage one may be beside them. */
  readonly prefetchPacks: number;
  /** The stages whose models are here: any other pack is foreign. */
  readonly stages: ReadonlyMap<string, ModelReceipt>;
  /** A pack that is gone or damaged is asked for again so often, before it is given up. */
  readonly maxRemakes: number;
}

export interface PackLanePorts {
  readonly works: ObjectStore;
  readonly packs: MessageQueue;
  readonly keeper: LeaseKeeper;
  readonly files: PackFiles;
  /** What packs are read into that come with their message. */
  readonly memory: RecycledMemory;
  /** Asks for the pack again; left out, a lost pack is a failed delivery. */
  remake?(message: PackMessage): Promise<void>;
  /** Does what is left to do of a pack whose part stands, where an earlier delivery may have stopped before it. */
  finish?(message: PackMessage): Promise<void>;
  onFailedDelivery?(message: PackMessage | undefined, reason: string): void;
  /** Which stages have lost their engines. */
  readonly lost: LostStages;
}

/** Short enough for a drain, long enough to cost little: SQS's own limit is 20 s. */
const RECEIVE_WAIT_MS = 20_000;
const RECEIVE_AGAIN_AFTER_MS = 1_000;
/** While models change, workers of both are there: what is not for this one waits for another, as often as it is delivered. */
const OTHER_MODEL_DELAY_MS = 60_000;

/**
 * One lane of packs on its way to the models: receives messages, fetches and checks their packs, and holds them ready,
 * stage by stage, never more at once than there is {@link LaneRoom}.
 */
export class PackLane {
  readonly name: 'live' | 'bulk';
  readonly #options: PackLaneOptions;
  readonly #ports: PackLanePorts;
  /** What is loading; how much of it is read at the same time is the files' matter. */
  readonly #loads = new PQueue();
  readonly #lines: ReadonlyMap<string, StageLine>;
  readonly #room: LaneRoom;
  /** Those of which nothing is here but the message, in the order in which they came. */
  readonly #waiting: Delivery[] = [];
  #stop = new AbortController().signal;
  #closed = false;
  readonly #change = new Condition();

  constructor(options: PackLaneOptions, ports: PackLanePorts) {
    this.name = options.name;
    this.#options = options;
    this.#ports = ports;
    this.#lines = new Map([...options.stages.keys()].map((stage) => [stage, new StageLine()]));
    const { prefetchPacks } = options;
    this.#room = new LaneRoom({ prefetchPacks, isLost: (stage) => ports.lost.has(stage) }, this.#lines);
  }

  /** Whether packs of the stage are on their way from the store. */
  isFetching(stage: string): boolean {
    return this.#line(stage).loading > 0;
  }

  /** How many packs of the stage are ready. */
  readyOf(stage: string): number {
    return this.#line(stage).ready.length;
  }

  /** Whether nothing of the stage will come any more. */
  isOver(stage: string): boolean {
    return this.#closed && this.readyOf(stage) === 0;
  }

  /** Takes the next pack of the stage to the model, where it is ready and is wanted. */
  take(stage: string, wanted: (next: LoadedPack) => boolean): LoadedPack | undefined {
    const { ready } = this.#line(stage);
    if (ready[0] === undefined || !wanted(ready[0])) return undefined;
    const loaded = ready.shift();
    this.#loadMore();
    this.#change.notifyAll();
    return loaded;
  }

  /** Waits until something of this lane has come or gone. */
  changed(withinMs?: number): Promise<void> {
    return this.#change.wait({ withinMs });
  }

  /** Receives until `stop`; what has been received by then and is not loaded yet goes back at once. */
  async run(stop: AbortSignal): Promise<void> {
    this.#stop = stop;
    stop.addEventListener('abort', () => this.#change.notifyAll(), { once: true });
    using _ = this.#ports.lost.watch(() => {
      this.#handBackSurplus();
      this.#change.notifyAll();
    });
    while (!stop.aborted) {
      const room = this.#room.messages;
      if (room === 0) {
        await this.changed();
        continue;
      }
      const leases = await this.#receive(room, stop);
      for (const lease of leases) this.#arrive(lease);
      this.#loadMore();
      if (leases.length > 0) this.#change.notifyAll();
    }
    const left = Array.from(this.#waiting, () => this.#takeWaiting(0));
    await Promise.all(left.map((delivery) => this.giveBack(delivery).catch(() => undefined)));
    await this.#loads.onIdle();
    this.#closed = true;
    this.#change.notifyAll();
  }

  /** What was held for stages that had lost their engines, beyond what this worker would hold, goes to any worker. */
  #handBackSurplus(): void {
    for (const [stage, line] of this.#lines) {
      for (let surplus = this.#room.surplusOf(stage, line); surplus > 0; surplus--) {
        const newest = this.#waiting.findLastIndex(({ message }) => this.#line(message.stage) === line);
        const delivery = this.#takeWaiting(newest);
        void this.#loads.add(inCallersTally(() => this.#handBack(delivery)));
      }
    }
  }

  /** As a fresh message, so that being handed back never counts as a failed delivery. */
  async #handBack({ lease, message, tally }: Delivery): Promise<void> {
    try {
      await tally.run(() => this.#ports.packs.send([lease.body], { group: message.job }));
      await tally.run(() => lease.ack());
    } catch {
      // The lease runs out, and the message comes back by itself.
    }
    this.#ports.keeper.release(lease);
    tally.wasted();
  }

  /** Gives a pack back at once, to any worker. */
  async giveBack({ lease, tally }: Pick<LoadedPack, 'lease' | 'tally'>): Promise<void> {
    this.#ports.keeper.release(lease);
    tally.wasted();
    await lease.retry();
  }

  /** The delivery has come to its end, one way or another. */
  settle(lease: Lease): void {
    this.#ports.keeper.release(lease);
  }

  /** A delivery that did not lead to a part goes back to the queue, or to where it can be mended. */
  async refuse(lease: Lease, message: PackMessage | undefined, error: unknown, tally: Tally): Promise<void> {
    this.#ports.keeper.release(lease);
    const reason = messageOf(error);
    try {
      const outcome = await tally.run(() => this.#refuse(lease, message, error, reason));
      tally.wasted(outcome === 'over' ? message?.usage : []);
    } catch {
      // The queue does not answer either: the lease runs out, and the message comes back by itself.
      tally.wasted();
    }
  }

  async #refuse(
    lease: Lease,
    message: PackMessage | undefined,
    error: unknown,
    reason: string,
  ): Promise<'over' | 'goes back'> {
    const code = error instanceof SluiceError ? error.code : 'internal';
    const lost = code === 'object-missing' || code === 'pack-damaged';
    if (message !== undefined && lost) {
      // A pack is gone when its part was written, by another delivery or by an earlier one of this message.
      if ((await this.#ports.works.head(partKey(message))) !== undefined) {
        if (mayBeUnfinished(lease, message)) await this.#ports.finish?.(message);
        await lease.ack();
        return 'over';
      }
      if (this.#ports.remake !== undefined && remakesOf(message) < this.#options.maxRemakes) {
        await this.#ports.remake(message);
        await lease.ack();
        return 'over';
      }
    }
    if (message !== undefined && code === 'model-mismatch' && this.#mayBeMadeAnew(lease, message)) {
      await this.#ports.remake?.(message);
      await lease.ack();
      return 'over';
    }
    this.#ports.onFailedDelivery?.(message, reason);
    // What cost one time limit after another would cost them all again.
    if (code === 'model-mismatch') await lease.retry({ reason, delayMs: OTHER_MODEL_DELAY_MS });
    else if (code === 'message-malformed' || code === 'engine-lost' || lost) await lease.bury(reason);
    else await lease.retry({ reason });
    return 'goes back';
  }

  /**
   * An image of the live lane is in no plan: its pack is made anew for the model of the day, where no worker has taken it that has
   * the one of before.
   */
  #mayBeMadeAnew(lease: Lease, message: PackMessage): boolean {
    const { remake } = this.#ports;
    const hasWaited = lease.deliveryCount > 1 || message.redriven === true;
    return (
      message.origin.lane === 'live' &&
      hasWaited &&
      remake !== undefined &&
      remakesOf(message) < this.#options.maxRemakes
    );
  }

  async #receive(room: number, stop: AbortSignal): Promise<Lease[]> {
    try {
      return await this.#ports.packs.receive({
        maxMessages: room,
        waitMs: RECEIVE_WAIT_MS,
        signal: stop,
      });
    } catch (error) {
      this.#ports.onFailedDelivery?.(undefined, messageOf(error));
      await new Promise((resolve) => setTimeout(resolve, RECEIVE_AGAIN_AFTER_MS));
      return [];
    }
  }

  #arrive(lease: Lease): void {
    this.#ports.keeper.keep(lease);
    const tally = new Tally('worker');
    tally.add({ counts: { messages: 1, ...(lease.deliveryCount > 1 && { redelivered: 1 }) } });
    try {
      const message = parseMessage(PackMessage, lease.body);
      tally.isFor({ job: message.job });
      this.#line(message.stage).waiting++;
      this.#waiting.push({ lease, message, tally });
    } catch (error) {
      void this.#loads.add(inCallersTally(() => this.refuse(lease, undefined, error, tally)));
    }
  }

  /** Loads what there is room for, first come, first served. */
  #loadMore(): void {
    for (;;) {
      const next = this.#waiting.findIndex(({ message }) => this.#room.mayLoad(this.#line(message.stage)));
      if (next < 0) return;
      const delivery = this.#takeWaiting(next);
      const line = this.#line(delivery.message.stage);
      line.loading++;
      void this.#loads.add(inCallersTally(() => this.#load(delivery, line)));
    }
  }

  /** Takes one of those that wait, by its place among them. */
  #takeWaiting(at: number): Delivery {
    const [delivery] = this.#waiting.splice(at, 1) as [Delivery];
    this.#line(delivery.message.stage).waiting--;
    return delivery;
  }

  async #load(delivery: Delivery, line: StageLine): Promise<void> {
    const { lease, message, tally } = delivery;
    try {
      this.#stop.throwIfAborted();
      const pack = await tally.run(() => this.load(message, this.#stop));
      line.ready.push({ ...delivery, pack, lane: this });
      line.loading--;
    } catch (error) {
      line.loading--;
      this.#loadMore();
      this.#change.notifyAll();
      // What is not there yet is not waited for: a store that stalls must not hold up the drain.
      if (this.#stop.aborted) await this.giveBack(delivery).catch(() => undefined);
      else await this.refuse(lease, message, error, tally);
    }
    this.#change.notifyAll();
  }

  /** The line of a stage. What is of none of them is found out once it is loaded, whoever's room it takes. */
  #line(stage: string): StageLine {
    return (this.#lines.get(stage) ?? this.#lines.values().next().value) as StageLine;
  }

  /** The pack of a message. @throws SluiceError `pack-damaged`, `object-missing`, or `message-malformed` for a foreign one. */
  async load(message: PackMessage, signal?: AbortSignal): Promise<Pack> {
    this.#checkModel(message);
    const pack = await this.#read(message, signal);
    const expected = packIdText(storedPackId(message));
    if (pack.header.pack !== expected)
      throw new SluiceError('pack-damaged', `expected pack "${expected}", got "${pack.header.pack}"`);
    const { stages } = this.#options;
    if (stages.get(message.stage)?.preprocessHash !== pack.header.preprocessHash) {
      const runs = [...stages]
        .map(([stage, runs]) => `"${stage}", preprocess ${runs.preprocessHash}`)
        .join('; ');
      throw new SluiceError(
        'message-malformed',
        `a pack of stage "${message.stage}", preprocess ${pack.header.preprocessHash}; this worker runs ${runs}`,
      );
    }
    return seenByStage(pack, message);
  }

  /** Rows of two models must not come to stand in one job: who was deployed in its midst leaves it to workers that have the other one. */
  #checkModel({ stage, meantFor }: PackMessage): void {
    const here = this.#options.stages.get(stage);
    if (here === undefined || meantFor === undefined) return;
    const { modelSha256, decodeHash } = meantFor;
    if (modelSha256 === here.modelSha256 && (decodeHash === '' || decodeHash === here.decodeHash)) return;
    throw new SluiceError(
      'model-mismatch',
      `planned for a model with sha256 ${modelSha256}, outputs read as ${decodeHash}; this worker has "${here.model}", ` +
        `sha256 ${here.modelSha256}, ${here.decodeHash}: start the job anew, or bring that model back and redrive it`,
    );
  }

  async #read(message: PackMessage, signal?: AbortSignal): Promise<Pack> {
    const { files, memory } = this.#ports;
    if ('inline' in message.pack) {
      const base64 = message.pack.inline;
      const bytes = memory.take(Buffer.byteLength(base64, 'base64'));
      return decodePack(bytes.subarray(0, bytes.write(base64, 'base64')));
    }
    const { file, checksum } = await files.read(packKey(storedPackId(message)), message.pack.bytes, {
      signal,
      isUrgent: this.name === 'live',
    });
    return decodePack(file, checksum);
  }
}

/**
 * Whether an earlier delivery of the same message may have written the part and stopped there. The first delivery of a
 * message that meets a part is a doubled message, and what is to be done about the part is the other one's to do.
 */
export function mayBeUnfinished(lease: Lease, { redriven }: PackMessage): boolean {
  return lease.deliveryCount > 1 || redriven === true;
}

function remakesOf({ origin }: PackMessage): number {
  return origin.lane === 'bulk' ? origin.remakes : origin.image.remakes;
}
