import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { packKey, partKey } from '#core/job-layout.ts';
import type { PackMessage } from '#core/messages.ts';
import { packOf, putPack } from '#test/support/pack-file.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { releasePack } from '#workers/shared-pack.ts';

async function setUp(stages?: string[]) {
  const folder = await temporaryFolder();
  const works = new FolderStore(folder.path);
  const message = await putPack(works, 0, [1], 'hash');
  const { pack } = message;
  const shared = stages === undefined || 'inline' in pack ? pack : { ...pack, stages };
  const of = (stage: string): PackMessage => ({ ...message, stage, pack: shared });
  /** A stage writes its part, and lets go of the pack. */
  const finish = async (stage: string): Promise<void> => {
    await works.put(partKey(packOf(0, stage)), Buffer.from('part'));
    await releasePack(of(stage), works);
  };
  const isThere = async (): Promise<boolean> => (await works.head(packKey(packOf(0)))) !== undefined;
  return { ...folder, finish, isThere };
}

describe('a pack', () => {
  it('is deleted by its stage', async () => {
    await using pack = await setUp();
    await pack.finish('mean');
    expect(await pack.isThere()).toBe(false);
  });

  it.each([[['mean', 'other', 'third']], [['third', 'other', 'mean']]])(
    'that several stages see is deleted by the last one: %s',
    async (order) => {
      await using pack = await setUp(['mean', 'other', 'third']);
      for (const stage of order) {
        expect(await pack.isThere()).toBe(true);
        await pack.finish(stage);
      }
      expect(await pack.isThere()).toBe(false);
    },
  );

  it('is deleted too when the last two stages finish at the same moment', async () => {
    await using pack = await setUp(['mean', 'other']);
    await Promise.all(['mean', 'other'].map((stage) => pack.finish(stage)));
    expect(await pack.isThere()).toBe(false);
  });

  it('stays as long as one stage has no part, however often another one is done', async () => {
    await using pack = await setUp(['mean', 'other']);
    await pack.finish('other');
    await pack.finish('other');
    expect(await pack.isThere()).toBe(true);
  });
});
