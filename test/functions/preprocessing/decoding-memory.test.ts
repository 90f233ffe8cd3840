import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodingProcesses } from '#cli/local-job.ts';
import { RunConfig } from '#core/config.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { TINY_SPEC } from '#test/support/tiny-spec.ts';

const PAGE_BYTES = 4096;
const children = `/proc/${process.pid}/task/${process.pid}/children`;

/** The memory of all processes that this one has started, in bytes. */
function childrenBytes(): number {
  let bytes = 0;
  for (const task of readdirSync(`/proc/${process.pid}/task`)) {
    for (const child of readFileSync(`/proc/${process.pid}/task/${task}/children`, 'utf8').split(' ')) {
      if (!existsSync(`/proc/${child}/statm`) || child === '') continue;
      bytes += Number(readFileSync(`/proc/${child}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
    }
  }
  return bytes;
}

describe.skipIf(!existsSync(children))('the memory of decoding processes', () => {
  it('is that of one large picture, however many of them come at once', async () => {
    await using folder = await temporaryFolder();
    const create = { width: 7000, height: 5000, channels: 3, background: '#a41' } as const;
    await sharp({ create }).webp({ effort: 0 }).toFile(join(folder.path, '0.webp'));
    for (let i = 1; i < 8; i++) await copyFile(join(folder.path, '0.webp'), join(folder.path, `${i}.webp`));

    const peakOf = async (images: number): Promise<number> => {
      const location = { kind: 'folder', root: folder.path } as const;
      const config = RunConfig.parse({ processes: 2, limits: { maxSecondsPerImage: 100 } });
      await using processes = decodingProcesses(config, location);
      let peak = 0;
      const sampling = setInterval(() => {
        peak = Math.max(peak, childrenBytes());
      }, 5);
      const packs = Array.from({ length: 2 }, (_, n) =>
        processes.build({
          id: { job: 'j', stage: 's', name: `${images}-${n}` },
          source: location,
          refs: Array.from({ length: images / 2 }, (_, i) => ({
            key: `${(n * images) / 2 + i}.webp`,
            etag: '',
            bytes: 1,
          })),
          preprocess: TINY_SPEC,
          preprocessHash: 'h',
        }),
      );
      for (const { images: decoded } of await Promise.all(packs)) expect(decoded).toBe(images / 2);
      clearInterval(sampling);
      return peak;
    };
    const two = await peakOf(2);
    const eight = await peakOf(8);
    expect(eight / two).toBeLessThan(1.25);
    // Two are no more than one beside an idle process: far less than two at once, of 9 bytes a pixel and more.
    expect(two).toBeLessThan(create.width * create.height * 9 * 2);
  });
});
