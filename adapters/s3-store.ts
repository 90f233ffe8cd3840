import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { SluiceError } from '#core/error.ts';
import type {
  GetOptions,
  ListPage,
  ObjectInfo,
  ObjectStore,
  ObjectWriter,
  StoredObject,
} from '#core/ports/object-store.ts';
import { sharedAwsClients } from './aws-clients.ts';
import { awsError } from './aws-errors.ts';
import { readBody } from './read-body.ts';
import { S3Upload } from './s3-upload.ts';

/** Where the store is, and what it may be told. */
export interface S3StoreOptions {
  readonly bucket: string;
  /** Keys are relative to it: empty, or ending in "/". */
  readonly prefix?: string;
  readonly client?: S3Client;
  /** Objects in one page of a listing; S3 gives 1,000 at the most. */
  readonly pageSize?: number;
  /** For one call with all that it transfers. */
  readonly callTimeoutMs?: number;
}

const DEFAULT_PAGE_SIZE = 1000;
const DEFAULT_CALL_TIMEOUT_MS = 60_000;
/** S3's own limit for one DeleteObjects call. */
const MAX_KEYS_PER_DELETE = 1000;
/** The SDK tries again until the response begins; a body that breaks off afterwards is ours to read again. */
const MAX_READS = 4;
const READ_AGAIN_AFTER_MS = 100;
/** Of conditional puts that race, S3 refuses all but one with 409, and says to try again. */
const MAX_CONFLICTS = 8;
/** S3's own limit for one object. */
const MAX_TAGS = 10;
/** Metadata of an object that says which conditional put wrote it. */
const WRITER = 'writer';

/**
 * A bucket, or what lies below a prefix of it, as an object store.
 *
 * Permissions: `s3:ListBucket`, `s3:GetObject`, `s3:PutObject`, `s3:DeleteObject`, `s3:AbortMultipartUpload`, each only
 * where the method is used. Without `s3:ListBucket`, S3 answers 403 for an object that is not there.
 *
 * @example
 * const store = new S3ObjectStore({ bucket: 'photos', prefix: '2026/' });
 * const { body } = await store.get('beach.jpg', { maxBytes: 64 * 1024 * 1024 });
 */
export class S3ObjectStore implements ObjectStore {
  readonly putRequest = 's3:PutObject';
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #pageSize: number;
  readonly #callTimeoutMs: number;

  constructor(options: S3StoreOptions) {
    this.#client = options.client ?? sharedAwsClients().s3;
    this.#bucket = options.bucket;
    this.#prefix = options.prefix ?? '';
    this.#pageSize = options.pageSize ?? DEFAULT_PAGE_SIZE;
    this.#callTimeoutMs = options.callTimeoutMs ?? DEFAULT_CALL_TIMEOUT_MS;
  }

  async list(options: { prefix?: string; cursor?: string; signal?: AbortSignal } = {}): Promise<ListPage> {
    const { prefix = '', cursor } = options;
    const page = await this.#call('s3:ListBucket', prefix, options.signal, (abortSignal) =>
      this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#prefix + prefix,
          MaxKeys: this.#pageSize,
          // Keys may hold characters that XML cannot.
          EncodingType: 'url',
          ...(cursor === undefined ? {} : { StartAfter: this.#prefix + cursor }),
        }),
        { abortSignal },
      ),
    );
    const decode = keyDecoder(page.EncodingType);
    const objects = (page.Contents ?? []).map(({ Key = '', Size = 0, ETag, LastModified }) => ({
      key: decode(Key).slice(this.#prefix.length),
      bytes: Size,
      etag: bare(ETag),
      ...(LastModified && { modifiedAt: LastModified }),
    }));
    const last = objects.at(-1);
    return page.IsTruncated === true && last !== undefined ? { objects, next: last.key } : { objects };
  }

  async folders(prefix: string, options: { signal?: AbortSignal } = {}): Promise<string[]> {
    const folders: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#call('s3:ListBucket', prefix, options.signal, (abortSignal) =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: this.#prefix + prefix,
            Delimiter: '/',
            EncodingType: 'url',
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          { abortSignal },
        ),
      );
      const decode = keyDecoder(page.EncodingType);
      for (const { Prefix = '' } of page.CommonPrefixes ?? []) {
        folders.push(decode(Prefix).slice(this.#prefix.length));
      }
      // A thousand are enough to share the work; a flat folder of millions is not walked for its few subfolders.
      token = folders.length === 0 ? undefined : page.NextContinuationToken;
    } while (token !== undefined && folders.length < this.#pageSize);
    return folders;
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    for (let read = 1; ; read++) {
      try {
        return await this.#read(key, options);
      } catch (error) {
        const again = error instanceof SluiceError && error.retryable && read < MAX_READS;
        if (!again || options.signal?.aborted === true) throw error;
        await sleep(READ_AGAIN_AFTER_MS * 2 ** read * Math.random(), undefined, { signal: options.signal });
      }
    }
  }

  async head(key: string, options: { signal?: AbortSignal } = {}): Promise<ObjectInfo | undefined> {
    try {
      const info = await this.#call('s3:GetObject', key, options.signal, (abortSignal) =>
        this.#client.send(new HeadObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key }), {
          abortSignal,
        }),
      );
      return { key, bytes: info.ContentLength ?? 0, etag: bare(info.ETag) };
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'object-missing') return undefined;
      throw error;
    }
  }

  async put(
    key: string,
    body: Uint8Array | readonly Uint8Array[],
    options: { ifAbsent?: boolean; signal?: AbortSignal } = {},
  ): Promise<'written' | 'exists'> {
    const whole = body instanceof Uint8Array ? body : Buffer.concat(body);
    const writer = options.ifAbsent === true ? randomUUID() : undefined;
    for (let conflicts = 0; ; conflicts++) {
      try {
        await this.#call('s3:PutObject', key, options.signal, (abortSignal) =>
          this.#client.send(
            new PutObjectCommand({
              Bucket: this.#bucket,
              Key: this.#prefix + key,
              Body: whole,
              ContentType: contentType(key),
              ...(writer !== undefined && { IfNoneMatch: '*', Metadata: { [WRITER]: writer } }),
            }),
            { abortSignal },
          ),
        );
        return 'written';
      } catch (error) {
        const { httpStatusCode: status, attempts = 1 } = metadataOf(error);
        if (writer === undefined) throw error;
        if (status === 412) {
          // The answer to an earlier attempt may have been lost, and the object be our own.
          const isRetried = attempts > 1 || conflicts > 0;
          return isRetried && (await this.#writerOf(key, options.signal)) === writer ? 'written' : 'exists';
        }
        if (status !== 409 || conflicts === MAX_CONFLICTS) throw error;
        await sleep(READ_AGAIN_AFTER_MS * Math.random(), undefined, { signal: options.signal });
      }
    }
  }

  async delete(keys: readonly string[], options: { signal?: AbortSignal } = {}): Promise<void> {
    for (let from = 0; from < keys.length; from += MAX_KEYS_PER_DELETE) {
      const some = keys.slice(from, from + MAX_KEYS_PER_DELETE);
      const answer = await this.#call('s3:DeleteObject', some[0] as string, options.signal, (abortSignal) =>
        this.#client.send(
          new DeleteObjectsCommand({
            Bucket: this.#bucket,
            Delete: { Objects: some.map((key) => ({ Key: this.#prefix + key })), Quiet: true },
          }),
          { abortSignal },
        ),
      );
      const [failure] = answer.Errors ?? [];
      if (failure !== undefined) {
        const call = {
          resource: `s3://${this.#bucket}/${failure.Key ?? ''}`,
          action: 's3:DeleteObject',
        };
        throw awsError(
          { name: failure.Code ?? 'unknown error', message: failure.Message ?? '' },
          call,
          'store-unavailable',
        );
      }
    }
  }

  async createWriter(key: string, options: { signal?: AbortSignal } = {}): Promise<ObjectWriter> {
    return new S3Upload({
      client: this.#client,
      target: { Bucket: this.#bucket, Key: this.#prefix + key, ContentType: contentType(key) },
      call: (send) => this.#call('s3:PutObject', key, options.signal, send),
      putWhole: async (pieces) => {
        await this.put(key, pieces, options);
      },
    });
  }

  /**
   * Adds tags to an object's own; of the same name, the new one stays. Takes `s3:GetObjectTagging` and `s3:PutObjectTagging`.
   *
   * @returns `'full'`, and leaves the tags as they are, where there would be more than S3 allows.
   */
  async tag(
    key: string,
    tags: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<'tagged' | 'full'> {
    const target = { Bucket: this.#bucket, Key: this.#prefix + key };
    const { TagSet = [] } = await this.#call('s3:GetObjectTagging', key, signal, (abortSignal) =>
      this.#client.send(new GetObjectTaggingCommand(target), { abortSignal }),
    );
    const merged = new Map(TagSet.map(({ Key = '', Value = '' }) => [Key, Value]));
    for (const [name, value] of Object.entries(tags)) merged.set(name, value);
    if (merged.size > MAX_TAGS) return 'full';
    const Tagging = { TagSet: [...merged].map(([Key, Value]) => ({ Key, Value })) };
    await this.#call('s3:PutObjectTagging', key, signal, (abortSignal) =>
      this.#client.send(new PutObjectTaggingCommand({ ...target, Tagging }), { abortSignal }),
    );
    return 'tagged';
  }

  /** Copies an object within S3, whole; `from.etag`, if given, must still be its etag. */
  async copyFrom(
    from: { bucket: string; key: string; etag?: string },
    key: string,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#call('s3:PutObject', key, signal, (abortSignal) =>
      this.#client.send(
        new CopyObjectCommand({
          Bucket: this.#bucket,
          Key: this.#prefix + key,
          CopySource: encodeURIComponent(`${from.bucket}/${from.key}`),
          ...(from.etag && { CopySourceIfMatch: `"${from.etag}"` }),
        }),
        { abortSignal },
      ),
    );
  }

  /** Which conditional put wrote an object. */
  async #writerOf(key: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    const { Metadata } = await this.#call('s3:GetObject', key, signal, (abortSignal) =>
      this.#client.send(new HeadObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key }), {
        abortSignal,
      }),
    );
    return Metadata?.[WRITER];
  }

  async #read(key: string, options: GetOptions): Promise<StoredObject> {
    return this.#call('s3:GetObject', key, options.signal, async (abortSignal) => {
      const answer = await this.#client.send(
        new GetObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + key }),
        { abortSignal },
      );
      const stream = answer.Body as Readable;
      const bytes = answer.ContentLength ?? 0;
      if (options.maxBytes !== undefined && bytes > options.maxBytes) {
        stream.destroy();
        throw new SluiceError(
          'object-too-large',
          `"${key}" has ${bytes} bytes, the limit is ${options.maxBytes}`,
        );
      }
      return {
        body: await readBody(
          stream,
          (options.allocate ?? Buffer.allocUnsafeSlow)(bytes),
          abortSignal,
          options.watch?.(),
        ),
        etag: bare(answer.ETag),
      };
    });
  }

  /** One call within its time. An aborted body rejects as a plain Error: the signals tell what it was. */
  async #call<T>(
    action: string,
    key: string,
    signal: AbortSignal | undefined,
    send: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const resource = `s3://${this.#bucket}/${this.#prefix}${key}`;
    // Joined by hand: in Node 20, AbortSignal.any keeps what is joined to a signal that lives as long as the process.
    const ended = new AbortController();
    const stop = (): void => ended.abort(signal?.reason);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      ended.abort();
    }, this.#callTimeoutMs);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      signal?.throwIfAborted();
      return await send(ended.signal);
    } catch (cause) {
      signal?.throwIfAborted();
      if (timedOut) {
        throw new SluiceError(
          'store-unavailable',
          `${action} on ${resource} took longer than ${this.#callTimeoutMs} ms`,
          { cause, retryable: true },
        );
      }
      throw awsError(cause, { resource, action }, 'store-unavailable');
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
  }
}

function keyDecoder(encoding: string | undefined): (key: string) => string {
  return encoding === 'url' ? (key) => decodeURIComponent(key.replaceAll('+', ' ')) : (key) => key;
}

/** S3 writes etags in quotes; audit records do not. */
function bare(etag: string | undefined): string {
  return (etag ?? '').replace(/^"|"$/g, '');
}

/** What the SDK says of a call that failed: the last answer, and how many attempts there were. */
function metadataOf(error: unknown): { httpStatusCode?: number; attempts?: number } {
  const cause = error instanceof SluiceError ? error.cause : error;
  return (
    (cause as { $metadata?: { httpStatusCode?: number; attempts?: number } } | undefined)?.$metadata ?? {}
  );
}

function contentType(key: string): string {
  if (key.endsWith('.json')) return 'application/json';
  if (key.endsWith('.html')) return 'text/html; charset=utf-8';
  return 'application/octet-stream';
}
