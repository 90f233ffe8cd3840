import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { SluiceError } from '#core/error.ts';
import { packKey } from '#core/job-layout.ts';
import { decodePack } from '#core/pack.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';
import { refusal } from '#core/refusal.ts';
import { buildPack, type PackBuilderPorts, type PackRequest } from '#functions/preprocessing/build-pack.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const spec = PreprocessSpec.parse({
  widthPx: 2,
  heightPx: 1,
  resize: { mode: 'squash' },
  kernel: 'linear',
  color: 'srgb',
  background: [0, 0, 0],
});
const options = { maxImageBytes: 100, imagesInFlight: 3, maxInFlightBytes: 100 };

/**
 * Decodes a file to rows filled with its first byte; a file that begins with "x" is corrupt, and one that begins with "w" too wide
 * for a pack that is wider than this one.
 */
const preprocess: PackBuilderPorts['preprocess'] = async (bytes, targets) => {
  // Later files finish first: the order in the pack must not depend on it.
  await new Promise((resolve) => setTimeout(resolve, 30 - (bytes[0] as number) / 10));
  return targets.map(({ row, spec: { widthPx } }) => {
    if (bytes[0] === 120) return { ok: false, refusal: refusal('corrupt', 'begins with x') };
    if (bytes[0] === 119 && widthPx > spec.widthPx)
      return { ok: false, refusal: refusal('too-many-pixels', 'too wide') };
    row.fill(bytes[0] as number);
    return {
      ok: true,
      image: {
        widthPx: 20,
        heightPx: 10,
        format: 'png',
        rowChecksum: crc32(row),
        contentHash: 'a'.repeat(16),
        perceptualHash: null,
      },
    };
  });
};

async function build(
  files: Record<string, string>,
  change: { refs?: string[]; refused?: PackRequest['refused']; forbidden?: Record<string, string> } = {},
) {
  const folder = await temporaryFolder();
  const source = new FolderStore(join(folder.path, 'source'));
  const works = new FolderStore(join(folder.path, 'works'));
  for (const [key, content] of Object.entries(files)) await source.put(key, Buffer.from(content));
  const get = source.get.bind(source);
  source.get = (key, getOptions) => {
    const message = change.forbidden?.[key];
    return message === undefined
      ? get(key, getOptions)
      : Promise.reject(new SluiceError('object-forbidden', message));
  };
  const keys = change.refs ?? Object.keys(files);
  const request: PackRequest = {
    id: { job: 'job', stage: 'stage', name: '000003-002' },
    source: { kind: 'folder', root: folder.path },
    refs: keys.map((key) => ({ key, etag: 'planned', bytes: 1 })),
    preprocess: spec,
    preprocessHash: 'h',
    ...(change.refused && { refused: change.refused }),
  };
  const built = await buildPack(request, options, { source, works, decoderVersion: 'd', preprocess });
  const { body } = await works.get(packKey(request.id));
  return { ...folder, source, built, file: body, pack: decodePack(body) };
}

describe('building a pack', () => {
  it('keeps the items in the order of their refs, densely, and the refused ones beside them', async () => {
    await using done = await build({ a: 'a', b: 'x broken', c: 'c', d: 'd' });
    const { header, images } = done.pack;
    expect(header.items.map(({ index, ref }) => [index, ref.key])).toEqual([
      [0, 'a'],
      [2, 'c'],
      [3, 'd'],
    ]);
    expect(header.refused.map(({ index, ref, refusal }) => [index, ref.key, refusal.code])).toEqual([
      [1, 'b', 'corrupt'],
    ]);
    expect(images.toString()).toBe('aaaaaaccccccdddddd');
    expect(done.built).toMatchObject({ bytes: done.file.length, images: 3, refused: 1 });
  });

  it('refuses what is missing or too large, and records what was read and not what was planned', async () => {
    await using done = await build({ a: 'a', large: 'l'.repeat(101) }, { refs: ['a', 'gone', 'large'] });
    expect(done.pack.header.refused.map(({ refusal }) => refusal.code)).toEqual([
      'missing',
      'too-many-bytes',
    ]);
    expect(done.pack.header.items[0]?.ref).toEqual({ ...(await done.source.head('a')) });
  });

  it('makes several packs of one read, each with the images that it could take', async () => {
    await using folder = await temporaryFolder();
    const source = new FolderStore(join(folder.path, 'source'));
    const works = new FolderStore(join(folder.path, 'works'));
    const files = ['a', 'w wide', 'x broken', 'd'];
    for (const content of files) await source.put(content[0] as string, Buffer.from(content));
    const reads: string[] = [];
    const get = source.get.bind(source);
    source.get = (key, options) => {
      reads.push(key);
      return get(key, options);
    };
    const wide = { ...spec, widthPx: 3 };
    const targets = [
      { id: { job: 'job', stage: 'one', name: '0' }, preprocess: spec, preprocessHash: 'h' },
      { id: { job: 'job', stage: 'other', name: '0' }, preprocess: wide, preprocessHash: 'wide' },
    ] as const;
    const refs = ['a', 'w', 'x', 'd', 'gone'].map((key) => ({ key, etag: '', bytes: 1 }));
    const location = { kind: 'folder', root: folder.path } as const;
    const ports = { source, works, decoderVersion: 'd', preprocess };
    const request = { ...targets[0], source: location, refs, also: [targets[1]] };
    const built = await buildPack(request, options, ports);
    expect(reads.sort()).toEqual(['a', 'd', 'gone', 'w', 'x']);
    const packs = await Promise.all(
      targets.map(async ({ id }) => decodePack((await works.get(packKey(id))).body)),
    );
    expect(packs.map(({ images }) => images.toString())).toEqual([
      `${'a'.repeat(6)}${'w'.repeat(6)}${'d'.repeat(6)}`,
      `${'a'.repeat(9)}${'d'.repeat(9)}`,
    ]);
    expect(
      packs.map(({ header }) => header.refused.map(({ index, refusal }) => [index, refusal.code])),
    ).toEqual([
      [
        [2, 'corrupt'],
        [4, 'missing'],
      ],
      [
        [1, 'too-many-pixels'],
        [2, 'corrupt'],
        [4, 'missing'],
      ],
    ]);
    expect(packs.map(({ header }) => [header.pack, header.preprocessHash])).toEqual([
      ['job/one/0', 'h'],
      ['job/other/0', 'wide'],
    ]);
    expect([built, ...(built.also ?? [])]).toMatchObject([
      { images: 3, refused: 2 },
      { images: 2, refused: 3 },
    ]);
    // What they took together is told once.
    expect(packs.map(({ header }) => header.usage?.map(({ usage }) => usage.counts))).toEqual([
      [{ packs: 2, images: 3, refused: 2 }],
      [],
    ]);
  });

  it('refuses what may not be read in the words of the store, which name the missing permission', async () => {
    const words = 'not allowed: s3:GetObject on s3://photos/b (AccessDenied); grant that permission';
    await using done = await build({ a: 'a', b: 'b' }, { forbidden: { b: words } });
    expect(done.pack.header.refused.map(({ refusal }) => refusal)).toEqual([
      { code: 'forbidden', detail: words },
    ]);
  });

  it('does not touch images that were refused before', async () => {
    await using done = await build({ a: 'a', b: 'b' }, { refused: { 0: refusal('timed-out', 'too slow') } });
    expect(done.pack.header.refused[0]).toMatchObject({
      index: 0,
      refusal: { code: 'timed-out' },
      preprocessMs: 0,
    });
    expect(done.pack.header.items.map(({ ref }) => ref.key)).toEqual(['b']);
  });

  it('fails when the store does not answer, since that is no image’s fault', async () => {
    const source = new FolderStore('/nowhere');
    source.get = () => Promise.reject(new SluiceError('store-unavailable', 'down', { retryable: true }));
    const request: PackRequest = {
      id: { job: 'j', stage: 's', name: 'n' },
      source: { kind: 'folder', root: '/nowhere' },
      refs: [{ key: 'a', etag: '', bytes: 1 }],
      preprocess: spec,
      preprocessHash: 'h',
    };
    const building = buildPack(request, options, { source, works: source, decoderVersion: 'd', preprocess });
    await expect(building).rejects.toMatchObject({ code: 'store-unavailable' });
  });
});

const PYTHON = process.env['SLUICE_PYTHON'] ?? 'python3';
const lacking = spawnSync(PYTHON, ['-c', 'import safetensors.numpy'], { stdio: 'ignore' }).status !== 0;

describe.skipIf(lacking)(
  `Python's safetensors ${lacking ? `(needs ${PYTHON} with safetensors and numpy; set SLUICE_PYTHON)` : ''}`,
  () => {
    it('opens a pack: the tensor, the items and the refused items', async () => {
      await using done = await build({ a: 'a', b: 'x broken', c: 'c' });
      const path = join(done.path, 'pack.safetensors');
      await writeFile(path, done.file);
      const program = `
import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], framework="numpy") as pack:
    images, about = pack.get_tensor("images"), json.loads(pack.metadata()["sluice"])
print(json.dumps([images.tolist(), str(images.dtype), [i["ref"]["key"] for i in about["items"]], about["refused"][0]["refusal"]]))`;
      const { stdout } = spawnSync(PYTHON, ['-c', program, path], { encoding: 'utf8' });
      const row = (level: number): number[][][] => [
        [
          [level, level, level],
          [level, level, level],
        ],
      ];
      expect(JSON.parse(stdout)).toEqual([
        [row(97), row(99)],
        'uint8',
        ['a', 'c'],
        { code: 'corrupt', detail: 'begins with x' },
      ]);
    });
  },
);
