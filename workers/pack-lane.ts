import PQueue from 'p-queue';
import { inCallersTally, Tally } from '#adapters/meter.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { packIdText, packKey, partKey } from '#core/job-layout.ts';
import { PackMessage, parseMessage } from '#core/messages.ts';
import type { ModelReceipt } from '#core/model-receipt.ts';
import { decodePack, type Pack } from '#core/pack.ts';
import type { Lease, MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { Handoff } from './handoff.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { PackFiles } from './pack-files.ts';
import type { RecycledMemory } from './recycled-memory.ts';
import { seenByStage, storedPackId } from './shared-pack.ts';

/** A pack that is ready to be inferred, and the delivery that it came by. */
export interface LoadedPack {
  readonly lease: Lease;
  readonly message: PackMessage;
  readonly pack: Pack;
  readonly lane: PackLane;
  /** What the delivery consumes. */
  readonly tally: Tally;
}

export interface PackLaneOptions {
  readonly name: 'live' | 'bulk';
  /** Packs that are loading or ready at the same time. */
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
}

/** Short enough for a drain, long enough to cost little: SQS's own limit is 20 s. */
const RECEIVE_WAIT_MS = 20_000;
const RECEIVE_AGAIN_AFTER_MS = 1_000;
/** While models change, workers of both are there: what is not for this one waits for another, as often as it is delivered. */
const OTHER_MODEL_DELAY_MS = 60_000;

/**
 * One lane of packs on its way to the model: receives messages, fetches and checks their packs, and holds them ready,
 * never more than `prefetchPacks` at once.
 */
export class PackLane {
  readonly name: 'live' | 'bulk';
  readonly ready: Handoff<LoadedPack>;
  readonly #options: PackLaneOptions;
  readonly #ports: PackLanePorts;
  /** What is loading; how much of it is read at the same time is the files' matter. */
  readonly #loads = new PQueue();
  #held = 0;
  #released: (() => void) | undefined;
  #watchers: (() => void)[] = [];

  constructor(options: PackLaneOptions, ports: PackLanePorts) {
    this.name = options.name;
    this.#options = options;
    this.#ports = ports;
    this.ready = new Handoff(options.prefetchPacks);
  }

  /** Whether packs are on their way from the store. */
  get isFetching(): boolean {
    return this.#held > this.ready.size;
  }

  /** Waits until something of this lane has come or gone. */
  async changed(withinMs?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#watchers.push(resolve);
      if (withinMs !== undefined) timer = setTimeout(resolve, withinMs);
    });
    clearTimeout(timer);
  }

  #notify(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const resolve of watchers) resolve();
  }

  /** The pack has left for the model: there is room for another one. */
  release(): void {
    this.#held--;
    this.#released?.();
  }

  /** Receives until `stop`; what has been received by then and is not loaded yet goes back at once. */
  async run(stop: AbortSignal): Promise<void> {
    stop.addEventListener('abort', () => this.#released?.(), { once: true });
    while (!stop.aborted) {
      const room = this.#options.prefetchPacks - this.#held;
      if (room === 0) {
        await new Promise<void>((resolve) => {
          this.#released = resolve;
        });
        continue;
      }
      const leases = await this.#receive(room, stop);
      for (const lease of leases) {
        this.#held++;
        this.#ports.keeper.keep(lease);
        void this.#loads.add(inCallersTally(() => this.#load(lease, stop)));
      }
      if (leases.length > 0) this.#notify();
    }
    await this.#loads.onIdle();
    this.ready.close();
    this.#notify();
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

  async #load(lease: Lease, stop: AbortSignal): Promise<void> {
    let message: PackMessage | undefined;
    const tally = new Tally('worker');
    tally.add({ counts: { messages: 1, ...(lease.deliveryCount > 1 && { redelivered: 1 }) } });
    try {
      stop.throwIfAborted();
      const known = parseMessage(PackMessage, lease.body);
      message = known;
      tally.isFor({ job: known.job });
      const pack = await tally.run(() => this.load(known, stop));
      await this.ready.push({ lease, message, pack, lane: this, tally });
    } catch (error) {
      this.release();
      // What is not there yet is not waited for: a store that stalls must not hold up the drain.
      if (stop.aborted) await this.giveBack({ lease, tally }).catch(() => undefined);
      else await this.refuse(lease, message, error, tally);
    }
    this.#notify();
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
