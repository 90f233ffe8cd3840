/** One object in a listing. */
export interface ObjectInfo {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
  /** When it was last written, where the listing tells. */
  readonly modifiedAt?: Date;
}

/** One page of a listing; `next` is absent on the last page. */
export interface ListPage {
  readonly objects: readonly ObjectInfo[];
  readonly next?: string;
}

/** One object, whole. */
export interface StoredObject {
  readonly body: Buffer;
  readonly etag: string;
}

export interface GetOptions {
  /** A larger object is refused before it is read. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
  /**
   * Called when the body begins to be read (again, if the reading had to begin anew); what it returns is called with each
   * piece in turn, while it is still in the processor's cache: the cheapest time to compute a checksum.
   */
  readonly watch?: () => (piece: Uint8Array) => void;
  /** Gives the memory that the body is read into, of exactly so many bytes; by default fresh memory of its own. */
  readonly allocate?: (bytes: number) => Buffer;
}

/** Writes one large object piece by piece. Nothing is visible under the key before `commit`. */
export interface ObjectWriter {
  write(chunk: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

/**
 * A flat store of objects under keys: S3, or a folder. Keys are relative, `/`-separated and never leave the store.
 *
 * Errors are {@link SluiceError}s with the codes `object-missing`, `object-forbidden`, `object-too-large`
 * (more than `maxBytes`; nothing is read) and `store-unavailable` (retryable).
 */
export interface ObjectStore {
  /** The one request that a `put` comes to, as meters name it; left out where nothing is metered. */
  readonly putRequest?: string;
  /** Lists keys in ascending UTF-8 order, a page at a time. Pass a page's `next` as `cursor` for the one after it. */
  list(options?: { prefix?: string; cursor?: string; signal?: AbortSignal }): Promise<ListPage>;
  /** The folders (each ending in "/") directly below a prefix, some hundreds at the most: where a listing can be split. */
  folders(prefix: string, options?: { signal?: AbortSignal }): Promise<string[]>;
  get(key: string, options?: GetOptions): Promise<StoredObject>;
  /** Size and etag without the body, or `undefined` where there is no such object. */
  head(key: string, options?: { signal?: AbortSignal }): Promise<ObjectInfo | undefined>;
  /**
   * Writes an object whole: a reader sees the old object or the new one, never a piece.
   * With `ifAbsent` an existing object is left as it is, and the answer is `'exists'`.
   * A body may come in pieces, so that large ones need not be joined in memory first.
   */
  put(
    key: string,
    body: Uint8Array | readonly Uint8Array[],
    options?: { ifAbsent?: boolean; signal?: AbortSignal },
  ): Promise<'written' | 'exists'>;
  /** Deletes the objects; a key that is not there is no error. */
  delete(keys: readonly string[], options?: { signal?: AbortSignal }): Promise<void>;
  createWriter(key: string, options?: { signal?: AbortSignal }): Promise<ObjectWriter>;
}
