import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderStore } from '#adapters/folder-store.ts';
import type { RunConfig } from '#core/config.ts';
import type { ImageRef } from '#core/image-ref.ts';
import { type PackId, packKey } from '#core/job-layout.ts';
import { decodePack, type Pack } from '#core/pack.ts';
import { type PreprocessSpec, preprocessHash } from '#core/preprocess-spec.ts';
import { shuffled } from '#core/quote/sampled-source.ts';
import type { MeasuredImage } from '#core/quote/take-sample.ts';
import { Random } from '#core/simulation/random.ts';
import type { StoreLocation } from '#core/store-location.ts';
import type { PackRequest } from '#functions/preprocessing/build-pack.ts';
import type { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { decodingProcesses } from '../local-job.ts';

/** Images that each process decodes before any are measured: code is compiled and decoders are loaded on the way. */
const WARM_UP_IMAGES = 24;

export interface MeasuringRequest {
  readonly source: StoreLocation;
  readonly preprocess: PreprocessSpec;
  readonly config: RunConfig;
  /** Images in a pack, as a job on this source would have them. */
  readonly packSize: number;
  /** Runs the model on a pack, as a job does on the cores that decode. */
  readonly infer: (pack: Pack) => Promise<unknown>;
  readonly seed: number;
}

/**
 * Decodes images as a job does (the same processes, as many of them, packs written to a folder) and tells the processor
 * time of each. All processes are at work together, as in a job: cores that share caches or are halves of one slow
 * each other down, and processor time counts that.
 *
 * @example
 * await using images = await MeasuredImages.begin(request);
 * const [first] = await images.measure(refs);
 */
export class MeasuredImages implements AsyncDisposable {
  readonly #request: MeasuringRequest;
  readonly #folder: string;
  readonly #decoders: PackProcesses;
  readonly #random: Random;
  #packs = 0;
  #startCpuMs: number | undefined;
  /** The model's run on the pack before. */
  #inferring: Promise<unknown> = Promise.resolve();

  private constructor(request: MeasuringRequest, folder: string) {
    this.#request = request;
    this.#folder = folder;
    this.#decoders = decodingProcesses(request.config, { kind: 'folder', root: folder });
    this.#random = new Random(request.seed);
  }

  static async begin(request: MeasuringRequest): Promise<MeasuredImages> {
    return new MeasuredImages(request, await mkdtemp(join(tmpdir(), 'sluice-quote-')));
  }

  get processes(): number {
    return this.#decoders.concurrency;
  }

  /** Milliseconds of processor time that a process took for its first images, beyond what they take later. */
  get startCpuMs(): number {
    return this.#startCpuMs ?? 0;
  }

  /** Each image's time, in the order of the refs. */
  async measure(refs: readonly ImageRef[], signal?: AbortSignal): Promise<MeasuredImage[]> {
    // In random order: whatever else this machine does meanwhile falls on all strata alike.
    const order = shuffled([...refs.keys()], this.#random);
    const first = order.slice(0, WARM_UP_IMAGES);
    const coldMs = this.#startCpuMs === undefined ? await this.#warmUp(first, refs, signal) : undefined;
    // At least two packs for each process, so that none sits idle for long.
    const size = Math.min(this.#request.packSize, Math.ceil(refs.length / (2 * this.processes)));
    const packs: number[][] = [];
    for (let i = 0; i < order.length; i += size) packs.push(order.slice(i, i + size));
    const found: MeasuredImage[] = [];
    const before = this.#decoders.used.cpuMs;
    // One by one, each image's time is known; together and beside the model, as in a job, all of them take longer. Each
    // pack is made in both ways, in turns, so that what else goes on meanwhile slows both alike.
    await Promise.all(
      packs.flatMap((pack) => {
        const own = pack.map((i) => refs[i] as ImageRef);
        const measuring = this.#pack(own, signal).then((images) => {
          for (const [place, i] of pack.entries()) found[i] = images[place] as MeasuredImage;
        });
        return [measuring, this.#packAsInJob(own, signal)];
      }),
    );
    const measuredMs = cpuMsOf(found);
    const jobMs = this.#decoders.used.cpuMs - before - measuredMs;
    if (coldMs !== undefined) this.#startCpuMs = Math.max(0, coldMs - cpuMsOf(first.map((i) => found[i])));
    const factor = jobMs > 0 && measuredMs > 0 ? jobMs / measuredMs : 1;
    await this.#inferring;
    return found.map((image) => ({ ...image, cpuMs: image.cpuMs * factor }));
  }

  async #packAsInJob(refs: readonly ImageRef[], signal?: AbortSignal): Promise<void> {
    const request = this.#packOf(refs);
    await this.#decoders.build(request, signal);
    const pack = await this.#takePack(request);
    if (pack.header.items.length === 0) return;
    // What the model says, and whether it can say anything, is no matter here.
    this.#inferring = this.#inferring.then(() => this.#request.infer(pack)).catch(() => undefined);
  }

  async #takePack({ id }: PackRequest): Promise<Pack> {
    const works = new FolderStore(this.#folder);
    const { body } = await works.get(packKey(id));
    await works.delete([packKey(id)]);
    return decodePack(body);
  }

  #packOf(refs: readonly ImageRef[]): PackRequest {
    const { source, preprocess } = this.#request;
    const id: PackId = { job: 'quote', stage: 'sample', name: String(this.#packs++) };
    return { id, source, refs, preprocess, preprocessHash: preprocessHash(preprocess) };
  }

  /** @returns the mean over the processes of what they took. */
  async #warmUp(order: readonly number[], refs: readonly ImageRef[], signal?: AbortSignal): Promise<number> {
    const few = order.map((i) => refs[i] as ImageRef);
    const times = await Promise.all(
      Array.from({ length: this.processes }, async () => {
        const images = await this.#pack(few, signal);
        return cpuMsOf(images);
      }),
    );
    return times.reduce((sum, ms) => sum + ms, 0) / times.length;
  }

  async #pack(refs: readonly ImageRef[], signal?: AbortSignal): Promise<MeasuredImage[]> {
    const request = this.#packOf(refs);
    const { imageCpuMs = [] } = await this.#decoders.build({ ...request, measured: true }, signal);
    const { header } = await this.#takePack(request);
    const images: MeasuredImage[] = [];
    for (const { index, widthPx, heightPx } of header.items)
      images[index] = { cpuMs: imageCpuMs[index] ?? 0, megapixels: (widthPx * heightPx) / 1e6 };
    for (const { index, refusal } of header.refused)
      images[index] = { cpuMs: imageCpuMs[index] ?? 0, refusal: refusal.code };
    return images;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#decoders[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function cpuMsOf(images: readonly (MeasuredImage | undefined)[]): number {
  return images.reduce((sum, image) => sum + (image?.cpuMs ?? 0), 0);
}
