import { copyFile, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { packKey } from '#core/job-layout.ts';
import { ImageLimits } from '#core/limits.ts';
import { decodePack } from '#core/pack.ts';
import { REFUSAL_CODES } from '#core/refusal.ts';
import { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { NEEDS_SHARED, sharedFolder } from '#test/support/shared-folder.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { TINY_SPEC } from '#test/support/tiny-spec.ts';

const corpus = sharedFolder('corpus');

/** Files of the corpus under their own names, and what they are refused as. */
const REFUSED = {
  'bad/jd_empty.jpg': 'empty',
  'bad/gen_html_as.jpg': 'not-an-image',
  'bad/gen_svg_external_file.svg': 'unsupported-format',
  'bad/gen_corrupt_dht.jpg': 'corrupt',
  'bad/sharp_truncated.jpg': 'truncated',
  'bad/gen_bomb_30000x30000_1bit.png': 'too-many-pixels',
  'bad/gen_gif_20000_frames.gif': 'too-many-frames',
  'good/wuffs_peacock.progressive.jpeg': 'timed-out',
  'good/der_cityscape_1600.jpg': 'too-many-bytes',
  'good/coral_face.jpg': 'missing',
} as const;

describe.skipIf(corpus === undefined)(
  `real files through decoding processes ${corpus === undefined ? NEEDS_SHARED : ''}`,
  () => {
    it('are refused with every code of the closed list', async () => {
      await using folder = await temporaryFolder();
      const root = join(folder.path, 'photos');
      for (const place of ['good', 'bad']) await mkdir(join(root, place), { recursive: true });
      const sizes = new Map<string, number>();
      for (const [key, code] of Object.entries(REFUSED)) {
        if (code !== 'missing') await copyFile(join(corpus as string, key), join(root, key));
        sizes.set(key, (await stat(join(corpus as string, key))).size);
      }
      const works = { kind: 'folder', root: join(folder.path, 'works') } as const;
      const codesUnder = async (changed: Partial<ImageLimits>, keys: readonly string[]) => {
        const limits = ImageLimits.parse(changed);
        await using processes = new PackProcesses(1, {
          works,
          limits,
          options: { maxImageBytes: limits.maxImageBytes, imagesInFlight: 2, maxInFlightBytes: 2 ** 27 },
        });
        const id = { job: 'j', stage: 's', name: keys[0] as string };
        const refs = keys.map((key) => ({ key, etag: '', bytes: sizes.get(key) as number }));
        const source = { kind: 'folder', root } as const;
        await processes.build({ id, source, refs, preprocess: TINY_SPEC, preprocessHash: 'h' });
        const { header } = decodePack((await new FolderStore(works.root).get(packKey(id))).body);
        return header.refused.map(({ ref, refusal }) => [ref.key, refusal.code]);
      };
      const withCode = (code: string) => Object.keys(REFUSED).filter((key) => codeOf(key) === code);
      const small = withCode('too-many-bytes');
      const slow = withCode('timed-out');
      const others = Object.keys(REFUSED).filter((key) => ![...small, ...slow].includes(key));
      const refused = [
        ...(await codesUnder({}, others)),
        ...(await codesUnder({ maxImageBytes: (sizes.get(small[0] as string) as number) - 1 }, small)),
        ...(await codesUnder({ maxSecondsPerImage: 0.001 }, slow)),
      ];
      expect(Object.fromEntries(refused)).toEqual(REFUSED);
      // "forbidden" wants a user who may not read everything: test/acceptance/other-user.test.ts.
      const codes = new Set<string>(['forbidden', ...Object.values(REFUSED)]);
      expect([...codes].sort()).toEqual([...REFUSAL_CODES].sort());
    });
  },
);

function codeOf(key: string): string {
  return REFUSED[key as keyof typeof REFUSED];
}
