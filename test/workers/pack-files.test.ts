import { describe, expect, it } from 'vitest';
import { encodePack, PackChecksum } from '#core/pack.ts';
import type { GetOptions, ObjectStore } from '#core/ports/object-store.ts';
import { FETCHERS, readPackFile, storedPackFiles } from '#workers/pack-files.ts';
import { RecycledMemory } from '#workers/recycled-memory.ts';

/** A store whose objects all have the same bytes, which come in pieces of so many. */
function storeOf(
  file: Buffer,
  pieceBytes: number,
  onGet: (key: string) => Promise<void> = async () => undefined,
): ObjectStore {
  const get = async (key: string, options: GetOptions = {}) => {
    await onGet(key);
    const piece = options.watch?.();
    for (let at = 0; at < file.length; at += pieceBytes) piece?.(file.subarray(at, at + pieceBytes));
    const body = options.allocate?.(file.length) ?? Buffer.alloc(file.length);
    file.copy(body);
    return { body, etag: '' };
  };
  return { get } as unknown as ObjectStore;
}

const { header, body } = encodePack({
  header: {
    schema: 1,
    pack: 'job/stage/000000-000',
    preprocessHash: 'p',
    decoderVersion: 'd',
    items: [],
    refused: [],
  },
  heightPx: 2,
  widthPx: 2,
  images: Buffer.alloc(0),
});
const FILE = Buffer.concat([header, body]);

describe('the files of packs', () => {
  it('are checked on the way as they would be afterwards, however they come in pieces', async () => {
    const afterwards = PackChecksum.of(FILE).hex;
    for (let pieceBytes = 1; pieceBytes <= FILE.length; pieceBytes++) {
      const { file, checksum } = await readPackFile(storeOf(FILE, pieceBytes), 'key', {});
      expect(checksum).toBe(afterwards);
      expect(file).toEqual(FILE);
    }
  });

  it('are read some at a time, however many are asked for', async () => {
    let reading = 0;
    let most = 0;
    const store = storeOf(FILE, FILE.length, async () => {
      most = Math.max(most, ++reading);
      await new Promise((resolve) => setImmediate(resolve));
      reading--;
    });
    const files = storedPackFiles(store, new RecycledMemory());
    const read = await Promise.all(Array.from({ length: 20 }, (_, i) => files.read(`key ${i}`, FILE.length)));
    expect(read).toHaveLength(20);
    expect(most).toBe(FETCHERS);
  });

  it('are read first where somebody waits for them', async () => {
    const begun: string[] = [];
    const store = storeOf(FILE, FILE.length, async (key) => {
      begun.push(key);
      await new Promise((resolve) => setImmediate(resolve));
    });
    const files = storedPackFiles(store, new RecycledMemory());
    const bulk = Array.from({ length: FETCHERS + 3 }, (_, i) => files.read(`bulk ${i}`, FILE.length));
    await Promise.all([...bulk, files.read('live', FILE.length, { isUrgent: true })]);
    expect(begun.indexOf('live')).toBe(FETCHERS);
  });
});
