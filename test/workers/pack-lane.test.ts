import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import type { PackMessage } from '#core/messages.ts';
import type { ModelReceipt } from '#core/model-receipt.ts';
import type { Lease, MessageQueue } from '#core/ports/message-queue.ts';
import { putPack } from '#test/support/pack-file.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { LeaseKeeper } from '#workers/lease-keeper.ts';
import { LostStages } from '#workers/lost-stages.ts';
import { storedPackFiles } from '#workers/pack-files.ts';
import { type LoadedPack, PackLane } from '#workers/pack-lane.ts';
import { RecycledMemory } from '#workers/recycled-memory.ts';

const HERE: ModelReceipt = {
  model: 'mean',
  modelSha256: 'a'.repeat(64),
  originalSha256: 'a'.repeat(64),
  preprocessHash: 'p',
  decodeHash: 'd',
};

type Outcome =
  | { kind: 'loaded'; loaded: LoadedPack }
  | { kind: 'retried'; delayMs: number | undefined; reason: string | undefined }
  | { kind: 'acked' | 'buried' };

/** What becomes of one delivery of a pack in a lane of a worker that has the model {@link HERE}. */
async function outcomeOf(
  meantFor: PackMessage['meantFor'],
  { deliveryCount = 1, ...change }: Partial<PackMessage> & { deliveryCount?: number } = {},
): Promise<Outcome & { remade: number }> {
  await using folder = await temporaryFolder();
  const works = new FolderStore(folder.path);
  const memory = new RecycledMemory();
  const message = { ...(await putPack(works, 0, [7], 'p')), ...(meantFor && { meantFor }), ...change };
  let remade = 0;
  const stop = new AbortController();
  using keeper = new LeaseKeeper(60_000);
  let end: (outcome: Outcome) => void = () => undefined;
  const ended = new Promise<Outcome>((resolve) => {
    end = resolve;
  });
  const lease: Lease = {
    body: JSON.stringify(message),
    deliveryCount,
    sentAt: new Date(),
    ack: async () => end({ kind: 'acked' }),
    extend: async () => undefined,
    retry: async ({ delayMs, reason } = {}) => end({ kind: 'retried', delayMs, reason }),
    bury: async () => end({ kind: 'buried' }),
  };
  const leases = [lease];
  const packs: MessageQueue = {
    visibilityMs: 60_000,
    send: async () => undefined,
    receive: async ({ signal }) => {
      const next = leases.splice(0);
      if (next.length === 0)
        await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
      return next;
    },
    depth: async () => ({ waiting: 0, leased: 0 }),
  };
  const lane = new PackLane(
    { name: 'bulk', prefetchPacks: 4, stages: new Map([['mean', HERE]]), maxRemakes: 1 },
    {
      works,
      packs,
      keeper,
      files: storedPackFiles(works, memory),
      memory,
      lost: new LostStages(),
      remake: async () => void remade++,
    },
  );
  const running = lane.run(stop.signal);
  void lane.changed().then(async () => {
    for (;;) {
      const loaded = lane.take('mean', () => true);
      if (loaded !== undefined) return end({ kind: 'loaded', loaded });
      if (lane.isOver('mean')) return;
      await lane.changed();
    }
  });
  const outcome = await ended;
  stop.abort();
  await running;
  return { ...outcome, remade };
}

describe('a lane of packs', () => {
  it('lets a pack through that is meant for the model that is here, or does not say', async () => {
    const { modelSha256, decodeHash } = HERE;
    for (const meantFor of [{ modelSha256, decodeHash }, { modelSha256, decodeHash: '' }, undefined])
      expect(await outcomeOf(meantFor)).toMatchObject({ kind: 'loaded' });
  });

  it('leaves a pack to other workers that is meant for another model, or for other readings of its outputs', async () => {
    const { modelSha256, decodeHash } = HERE;
    const other = 'b'.repeat(64);
    for (const meantFor of [
      { modelSha256: other, decodeHash },
      { modelSha256, decodeHash: 'e' },
    ]) {
      const outcome = await outcomeOf(meantFor);
      expect(outcome).toMatchObject({
        kind: 'retried',
        reason: expect.stringContaining(
          `planned for a model with sha256 ${meantFor.modelSha256}, outputs read as ${meantFor.decodeHash}`,
        ),
      });
      expect(outcome).toMatchObject({ delayMs: expect.any(Number), remade: 0 });
    }
  });

  it('has a pack of the live lane made anew that nobody takes who has its model, and none of a planned job', async () => {
    const other = { modelSha256: 'b'.repeat(64), decodeHash: 'd' };
    const live = (remakes: number): Partial<PackMessage> => ({
      origin: {
        lane: 'live',
        image: {
          v: 1,
          type: 'image',
          bucket: 'photos',
          ref: { key: '0-0', etag: 'e', bytes: 1 },
          at: '2026-11-20T00:00:00.000Z',
          remakes,
        },
      },
    });
    expect(await outcomeOf(other, live(0))).toMatchObject({ kind: 'retried', remade: 0 });
    expect(await outcomeOf(other, { ...live(0), deliveryCount: 2 })).toMatchObject({
      kind: 'acked',
      remade: 1,
    });
    expect(await outcomeOf(other, { ...live(0), redriven: true })).toMatchObject({
      kind: 'acked',
      remade: 1,
    });
    expect(await outcomeOf(other, { ...live(1), deliveryCount: 2 })).toMatchObject({
      kind: 'retried',
      remade: 0,
    });
    expect(await outcomeOf(other, { deliveryCount: 2 })).toMatchObject({ kind: 'retried', remade: 0 });
  });
});
