import { describe, expect, it } from 'vitest';
import { packKey, partKey } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { FirstByteEngine, putPack, work } from '#test/support/first-byte-worker.ts';
import { packOf } from '#test/support/pack-file.ts';

describe('a worker to which a pack is delivered once more', () => {
  it('keeps the first part that was written under a key', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      await works.put(partKey(message), Buffer.from('first'));
      return [message];
    });
    expect((await done.works.get(partKey(packOf(0)))).body.toString()).toBe('first');
    expect(done.packs.deadLetters).toEqual([]);
  });

  it('acknowledges a second delivery of a pack whose part is written', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      await works.put(partKey(message), Buffer.from('the part of the first delivery'));
      await works.delete([packKey(message)]);
      return [message];
    });
    expect(done.packs.deadLetters).toEqual([]);
    expect((await done.works.get(partKey(packOf(0)))).body.toString()).toMatch(/first delivery/);
  });

  it('does what an earlier delivery left undone, from the part, when the pack is gone', async () => {
    const acted: string[][] = [];
    await using done = await work(
      async (works) => {
        const message = await putPack(works, 0, [5, 200]);
        const { body } = await works.get(packKey(message));
        await using earlier = await work(async (other) => {
          await other.put(packKey(message), body);
          return [message];
        });
        await works.put(partKey(message), (await earlier.works.get(partKey(message))).body);
        await works.delete([packKey(message)]);
        return [{ ...message, redriven: true }, message];
      },
      new FirstByteEngine(),
      4,
      async (records) => void acted.push(records.map(({ key, verdict }) => `${key} ${verdict}`)),
    );
    // A doubled message that meets a part leaves it to the other one.
    expect(acted).toEqual([['0-0 pass', '0-1 review']]);
    expect(done.packs.deadLetters).toEqual([]);
  });

  it('acts once more on a part that an earlier delivery wrote, when acting failed', async () => {
    let tries = 0;
    await using done = await work(
      async (works) => [await putPack(works, 0, [200])],
      new FirstByteEngine(),
      4,
      async () => {
        if (++tries === 1) throw new Error('no permission to tag');
      },
    );
    expect(tries).toBe(2);
    expect(done.failures).toEqual(['no permission to tag']);
  });

  it('asks again for a pack that is gone', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      await works.delete([packKey(message)]);
      return [message];
    });
    expect(done.remade).toMatchObject([{ name: packOf(0).name }]);
    expect(done.packs.deadLetters).toEqual([]);
  });

  it('asks again for a damaged pack, but not for ever', async () => {
    await using done = await work(async (works) => {
      const message = await putPack(works, 0, [7]);
      const { body } = await works.get(packKey(message));
      body[body.length - 1] = 99;
      await works.put(packKey(message), body);
      const lastTime = { ...message, origin: { ...message.origin, remakes: 3 } as PackMessage['origin'] };
      return [message, lastTime];
    });
    expect(done.remade).toHaveLength(1);
    expect(done.packs.deadLetters).toMatchObject([{ reason: expect.stringContaining('checksum') }]);
  });
});
