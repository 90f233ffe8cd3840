import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ListPage, ObjectStore } from '#core/ports/object-store.ts';

/** An empty store for one test, and how to be rid of it. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: ObjectStore;
}

/** What every object store must do; run over each implementation. `pageSize` is that of the store's listings. */
export function describeObjectStore(
  name: string,
  open: () => Promise<StoreUnderTest>,
  pageSize: number,
): void {
  describe(`${name} as an ObjectStore`, () => {
    let subject: StoreUnderTest;
    let store: ObjectStore;
    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject[Symbol.asyncDispose]());

    const text = (value: string): Buffer => Buffer.from(value);
    const listAll = async (prefix?: string): Promise<string[]> => {
      const keys: string[] = [];
      let page: ListPage | undefined;
      do {
        page = await store.list({ ...(prefix && { prefix }), ...(page?.next && { cursor: page.next }) });
        expect(page.objects.length).toBeLessThanOrEqual(pageSize);
        keys.push(...page.objects.map((object) => object.key));
      } while (page.next !== undefined);
      return keys;
    };

    it('gives back what was put, with size and etag', async () => {
      await store.put('a/b.bin', text('hello'));
      const { body, etag } = await store.get('a/b.bin');
      expect(body.toString()).toBe('hello');
      expect(await store.head('a/b.bin')).toEqual({ key: 'a/b.bin', bytes: 5, etag });
    });

    it('joins a body that comes in pieces', async () => {
      await store.put('pieces', [text('one '), text('two')]);
      expect((await store.get('pieces')).body.toString()).toBe('one two');
    });

    it('replaces an object, and gives it another etag', async () => {
      await store.put('k', text('first'));
      const before = await store.head('k');
      await store.put('k', text('second!'));
      expect((await store.get('k')).body.toString()).toBe('second!');
      expect((await store.head('k'))?.etag).not.toBe(before?.etag);
    });

    it('puts only where nothing is, when asked to', async () => {
      expect(await store.put('once', text('first'), { ifAbsent: true })).toBe('written');
      expect(await store.put('once', text('second'), { ifAbsent: true })).toBe('exists');
      expect((await store.get('once')).body.toString()).toBe('first');
    });

    it('lets exactly one of many racing conditional puts win', async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, i) => store.put('race', text(`writer ${i}`), { ifAbsent: true })),
      );
      expect(outcomes.filter((outcome) => outcome === 'written')).toHaveLength(1);
    });

    it('says that an object is missing', async () => {
      await expect(store.get('nowhere/none')).rejects.toMatchObject({
        code: 'object-missing',
        retryable: false,
      });
      expect(await store.head('nowhere/none')).toBeUndefined();
    });

    it('refuses an object over the byte limit without reading it', async () => {
      await store.put('large', Buffer.alloc(1000));
      await expect(store.get('large', { maxBytes: 999 })).rejects.toMatchObject({ code: 'object-too-large' });
      expect((await store.get('large', { maxBytes: 1000 })).body).toHaveLength(1000);
    });

    it('lists every key once, in UTF-8 order, page by page', async () => {
      const keys = ['a/1', 'a-b', 'a/2/x', 'b', 'Z', 'é', 'a.txt', 'ｚ', '😀', 'a/10', 'b/c d&e'];
      for (const key of keys.filter((key) => key !== 'b')) await store.put(key, text(key));
      const expected = keys
        .filter((key) => key !== 'b')
        .sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
      expect(await listAll()).toEqual(expected);
    });

    it('lists by prefix, also one that ends within a name', async () => {
      for (const key of ['p/aa', 'p/ab', 'p/b', 'q/aa']) await store.put(key, text(''));
      expect(await listAll('p/a')).toEqual(['p/aa', 'p/ab']);
      expect(await listAll('p/')).toEqual(['p/aa', 'p/ab', 'p/b']);
      expect(await listAll('none')).toEqual([]);
    });

    it('names the folders right below a prefix', async () => {
      for (const key of ['p/a/1', 'p/b/c/2', 'p/x', 'q/1']) await store.put(key, text(''));
      expect((await store.folders('')).sort()).toEqual(['p/', 'q/']);
      expect((await store.folders('p/')).sort()).toEqual(['p/a/', 'p/b/']);
      expect(await store.folders('p/x')).toEqual([]);
    });

    it('deletes many, and does not mind what is not there', async () => {
      await store.put('x', text('1'));
      await store.put('y', text('2'));
      await store.delete(['x', 'not-there', 'y']);
      expect(await listAll()).toEqual([]);
    });

    it('shows a streamed object only once it is committed', async () => {
      const writer = await store.createWriter('streamed');
      await writer.write(text('part one, '));
      expect(await store.head('streamed')).toBeUndefined();
      await writer.write(text('part two'));
      await writer.commit();
      expect((await store.get('streamed')).body.toString()).toBe('part one, part two');
    });

    it('leaves nothing behind of a streamed object that was aborted', async () => {
      const writer = await store.createWriter('dropped');
      await writer.write(text('something'));
      await writer.abort();
      expect(await listAll()).toEqual([]);
    });
  });
}
