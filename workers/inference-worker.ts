import PQueue from 'p-queue';
import { encodePart } from '#adapters/parquet-audit.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { packId, packKey, partKey } from '#core/job-layout.ts';
import { PackMessage, parseMessage } from '#core/messages.ts';
import { type ModelManifest, scoreNames } from '#core/model-manifest.ts';
import { decodePack, type Pack } from '#core/pack.ts';
import { recordsOfPack } from '#core/pack-records.ts';
import { type Policy, policyHash } from '#core/policy.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { Lease, MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { Handoff } from './handoff.ts';
import { batchOf, checkModelFits, scoresOf } from './model-batch.ts';

export interface InferenceWorkerOptions {
  readonly manifest: ModelManifest;
  readonly policy: Policy;
  readonly softwareVersion: string;
  /** Packs are merged up to so many images. A larger pack runs alone. */
  readonly batchSize: number;
  /** Packs that are loaded and ready while one is inferred. */
  readonly prefetchPacks: number;
  readonly visibilityMs: number;
}

export interface InferenceWorkerPorts {
  readonly works: ObjectStore;
  readonly packs: MessageQueue;
  readonly engine: Engine;
  onPart?(records: readonly AuditRecord[]): void;
  /** A delivery that did not lead to a part, and why; the queue delivers it again or gives it up. */
  onFailedDelivery?(message: PackMessage | undefined, reason: string): void;
}

interface LoadedPack {
  readonly lease: Lease;
  readonly message: PackMessage;
  readonly pack: Pack;
  stopHeartbeat(): void;
}

const RECEIVE_WAIT_MS = 1000;
const COMMITS_IN_FLIGHT = 4;

/**
 * The GPU stage: packs in, parts out. Three steps overlap: load the next packs, run the model on the present
 * ones, commit the last ones.
 *
 * The life of a delivery: received → loaded → inferred → part written → acknowledged → pack deleted. A crash at
 * any point repeats work and loses nothing, because the part's key follows from the range and its rows from
 * the pack.
 */
export class InferenceWorker {
  readonly #options: InferenceWorkerOptions;
  readonly #ports: InferenceWorkerPorts;
  readonly #scores: readonly string[];
  readonly #policyHash: string;

  /** @throws SluiceError `model-invalid` where the manifest does not fit the engine's model. */
  constructor(options: InferenceWorkerOptions, ports: InferenceWorkerPorts) {
    checkModelFits(options.manifest, ports.engine);
    this.#options = options;
    this.#ports = ports;
    this.#scores = scoreNames(options.manifest);
    this.#policyHash = policyHash(options.policy);
  }

  /** Works until `stop` is aborted, then finishes what it holds. */
  async run(stop: AbortSignal): Promise<void> {
    const ready = new Handoff<LoadedPack>(this.#options.prefetchPacks);
    const commits = new PQueue({ concurrency: COMMITS_IN_FLIGHT });
    const loading = this.#load(ready, stop).finally(() => ready.close());
    for (let first = await ready.shift(); first !== undefined; first = await ready.shift()) {
      const batch = this.#mergeMore(first, ready);
      const parts = await this.#infer(batch);
      await commits.onSizeLessThan(COMMITS_IN_FLIGHT);
      for (const part of parts) void commits.add(() => this.#commit(part.loaded, part.records));
    }
    await loading;
    await commits.onIdle();
  }

  async #load(ready: Handoff<LoadedPack>, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const leases = await this.#ports.packs.receive({
        maxMessages: this.#options.prefetchPacks,
        waitMs: RECEIVE_WAIT_MS,
        signal: stop,
      });
      for (const lease of leases) {
        const loaded = await this.#loadOne(lease);
        if (loaded !== undefined) await ready.push(loaded);
      }
    }
  }

  async #loadOne(lease: Lease): Promise<LoadedPack | undefined> {
    let message: PackMessage | undefined;
    const heartbeat = setInterval(
      () => void lease.extend(this.#options.visibilityMs).catch(() => undefined),
      this.#options.visibilityMs / 3,
    );
    try {
      message = parseMessage(PackMessage, lease.body);
      const { body } = await this.#ports.works.get(packKey(message), { maxBytes: message.bytes });
      const pack = decodePack(body);
      if (pack.header.pack !== packId(message)) {
        throw new SluiceError(
          'pack-damaged',
          `expected pack "${packId(message)}", got "${pack.header.pack}"`,
        );
      }
      return { lease, message, pack, stopHeartbeat: () => clearInterval(heartbeat) };
    } catch (error) {
      clearInterval(heartbeat);
      await this.#refuseDelivery(lease, message, error);
      return undefined;
    }
  }

  /** A pack that is gone because its part was written is done; any other trouble goes back to the queue. */
  async #refuseDelivery(lease: Lease, message: PackMessage | undefined, error: unknown): Promise<void> {
    const code = error instanceof SluiceError ? error.code : 'internal';
    if (message !== undefined && code === 'object-missing') {
      if ((await this.#ports.works.head(partKey(message))) !== undefined) return lease.ack();
    }
    // A damaged pack never becomes whole: without it, the range is made again when the job resumes.
    if (message !== undefined && code === 'pack-damaged') await this.#ports.works.delete([packKey(message)]);
    this.#ports.onFailedDelivery?.(message, messageOf(error));
    await lease.retry();
  }

  #mergeMore(first: LoadedPack, ready: Handoff<LoadedPack>): LoadedPack[] {
    const batch = [first];
    let images = first.pack.header.items.length;
    const fits = (next: LoadedPack): boolean =>
      images + next.pack.header.items.length <= this.#options.batchSize;
    for (let next = ready.shiftIf(fits); next !== undefined; next = ready.shiftIf(fits)) {
      batch.push(next);
      images += next.pack.header.items.length;
    }
    return batch;
  }

  async #infer(batch: readonly LoadedPack[]): Promise<{ loaded: LoadedPack; records: AuditRecord[] }[]> {
    const images = batch.reduce((sum, { pack }) => sum + pack.header.items.length, 0);
    try {
      const scores = images === 0 ? [] : await this.#scoresOf(batch, images);
      let from = 0;
      return batch.map((loaded) => {
        const { length } = loaded.pack.header.items;
        const records = this.#recordsOf(loaded, scores.slice(from, from + length));
        from += length;
        return { loaded, records };
      });
    } catch (error) {
      // The engine took the tensors with it: what failed is loaded afresh, each pack for itself.
      await Promise.all(
        batch.map(async (loaded) => {
          loaded.stopHeartbeat();
          await this.#refuseDelivery(loaded.lease, loaded.message, error);
        }),
      );
      return [];
    }
  }

  async #scoresOf(batch: readonly LoadedPack[], images: number): Promise<Record<string, number>[]> {
    const inputs = batchOf(
      batch.map(({ pack }) => pack).filter((pack) => pack.header.items.length > 0),
      this.#options.manifest,
    );
    return scoresOf(await this.#ports.engine.run(inputs), this.#options.manifest, images);
  }

  #recordsOf({ message, pack }: LoadedPack, scores: readonly Record<string, number>[]): AuditRecord[] {
    const { manifest, policy, softwareVersion } = this.#options;
    return recordsOfPack(pack.header, scores, policy, {
      job: message.job,
      stage: message.stage,
      pack: pack.header.pack,
      model: manifest.name,
      modelSha256: manifest.sha256,
      preprocessHash: pack.header.preprocessHash,
      policyHash: this.#policyHash,
      softwareVersion,
      decoderVersion: pack.header.decoderVersion,
      provider: this.#ports.engine.provider,
    });
  }

  /** The order is the design's: part, acknowledgement, pack. */
  async #commit(loaded: LoadedPack, records: readonly AuditRecord[]): Promise<void> {
    const { lease, message } = loaded;
    try {
      await this.#ports.works.put(partKey(message), encodePart(records, this.#scores));
      await lease.ack();
      await this.#ports.works.delete([packKey(message)]);
    } catch (error) {
      this.#ports.onFailedDelivery?.(message, messageOf(error));
      await lease.retry();
      return;
    } finally {
      loaded.stopHeartbeat();
    }
    this.#ports.onPart?.(records);
  }
}
