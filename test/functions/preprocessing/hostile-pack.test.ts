import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { packKey } from '#core/job-layout.ts';
import { ImageLimits } from '#core/limits.ts';
import { decodePack } from '#core/pack.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';
import { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { manyScansJpeg } from '#test/support/hostile-images.ts';
import { writePhotos } from '#test/support/photo-folder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const spec = PreprocessSpec.parse({
  widthPx: 16,
  heightPx: 16,
  resize: { mode: 'squash' },
  kernel: 'linear',
  color: 'srgb',
  background: [0, 0, 0],
});

describe('a pack with images that hold their decoders for longer than they may', () => {
  it.each([1, 3])(
    'refuses %i of them as timed out, and holds all others',
    async (hostile) => {
      await using folder = await temporaryFolder();
      const root = join(folder.path, 'photos');
      await writePhotos(root, 8);
      // Seconds of decoding, whatever the machine. The limit on work is lifted, so that only the clock can stop it.
      const slow = manyScansJpeg(4096, 1000);
      for (let i = 0; i < hostile; i++) await writeFile(join(root, `000${2 * i}-slow.jpg`), slow);
      const source = new FolderStore(root);
      const { objects } = await source.list();
      const works = { kind: 'folder', root: join(folder.path, 'works') } as const;
      const limits = ImageLimits.parse({ maxSecondsPerImage: 1, maxPixels: 1e9 });
      await using processes = new PackProcesses(1, {
        works,
        limits,
        options: { maxImageBytes: limits.maxImageBytes, imagesInFlight: 2, maxInFlightBytes: 2 ** 27 },
      });
      const id = { job: 'j', stage: 's', name: 'first' };
      const build = (name: string) =>
        processes.build({
          id: { ...id, name },
          source: { kind: 'folder', root },
          refs: objects,
          preprocess: spec,
          preprocessHash: 'h',
        });
      expect(await build('first')).toMatchObject({ images: 8, refused: hostile });
      const { header } = decodePack((await new FolderStore(works.root).get(packKey(id))).body);
      expect(header.refused.map(({ ref, refusal }) => [ref.key.endsWith('slow.jpg'), refusal.code])).toEqual(
        Array.from({ length: hostile }, () => [true, 'timed-out']),
      );
      // The process that the decoder was stuck in is gone, and its successor works.
      expect(await build('second')).toMatchObject({ images: 8 });
    },
    60_000,
  );
});
