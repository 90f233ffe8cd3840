import sharp from 'sharp';
import { expect } from 'vitest';
import type { Pipeline } from '#adapters/pipeline.ts';
import type { Engine } from '#core/ports/engine.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { auditRows } from './audit-rows.ts';
import { RunningPipeline } from './running-pipeline.ts';

export const IMAGES = 24;
export const SMALL_PACKS = { shardSize: 12, packSize: 4 };
const NO_IMAGE = '05.jpg';
const RECEIPT = ['job', 'pack', 'preprocess_ms'];

/** A small backfill that can be disturbed again and again, each time on fresh buckets and queues. */
export class DisturbedBackfill {
  readonly #photos: ReadonlyMap<string, Buffer>;
  #expected: unknown[] = [];

  private constructor(photos: ReadonlyMap<string, Buffer>) {
    this.#photos = photos;
  }

  /** Makes the images (one of them is none), and runs the backfill once undisturbed, to know what it comes to. */
  static async prepare(): Promise<DisturbedBackfill> {
    const entries = Array.from({ length: IMAGES }, async (_, i): Promise<[string, Buffer]> => {
      const key = `${String(i).padStart(2, '0')}.jpg`;
      if (key === NO_IMAGE) return [key, Buffer.from('no image')];
      const background = { r: i * 9, g: 99, b: 255 - i * 5 };
      return [
        key,
        await sharp({ create: { width: 64, height: 48, channels: 3, background } })
          .jpeg()
          .toBuffer(),
      ];
    });
    const backfill = new DisturbedBackfill(new Map(await Promise.all(entries)));
    await using running = await backfill.start();
    running.startFunctions();
    await running.startWorkerHere();
    await running.submit('job');
    const { completion } = await running.reached('job', 'complete');
    backfill.#expected = await verifiedRows(running.pipeline, completion.tables);
    expect(backfill.#expected).toHaveLength(IMAGES);
    return backfill;
  }

  /** The keys of the images that are images, in order. */
  get audited(): string[] {
    return [...this.#photos.keys()].filter((key) => key !== NO_IMAGE).sort();
  }

  /** Fresh buckets and queues with the images in them; a message that nobody finishes comes again after two seconds. */
  async start(options: Parameters<typeof RunningPipeline.start>[0] = {}): Promise<RunningPipeline> {
    const running = await RunningPipeline.start({
      visibilitySeconds: 2,
      config: SMALL_PACKS,
      ...options,
    });
    for (const [key, bytes] of this.#photos) running.aws.objects.putObject(running.images, key, bytes);
    return running;
  }

  /** The job ends with nothing lost, nothing doubled, and the rows of an undisturbed run. */
  async expectWhole(running: RunningPipeline): Promise<void> {
    const { completion } = await running.reached('job', 'complete', 90_000);
    expect(completion).toMatchObject({ planned: IMAGES, audited: IMAGES - 1, unreadable: 1, failed: 0 });
    expect(await verifiedRows(running.pipeline, completion.tables)).toEqual(this.#expected);
  }
}

/** The rows of the complete job, whose proof holds. */
export async function verifiedRows(
  pipeline: Pipeline,
  tables: readonly { key: string }[],
): Promise<Readonly<Record<string, unknown>>[]> {
  expect(await verifyJob('job', pipeline.works)).toMatchObject({ problems: [], unchecked: [] });
  const keys = tables.map(({ key }) => key);
  return auditRows(pipeline.works, keys, RECEIPT);
}

/** An engine that does something else when it runs. */
export function wrapped(engine: Engine, run: Engine['run']): Engine {
  const { provider, inputs, outputs } = engine;
  return { provider, inputs, outputs, run, [Symbol.asyncDispose]: async () => undefined };
}
