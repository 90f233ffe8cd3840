import type { BuildAppOptions } from 'fauxqs';

/** fauxqs's in-memory S3, by its own type: it exports the type of its options only. */
export type S3Memory = NonNullable<BuildAppOptions['stores']>['s3Store'];
export type SqsMemory = NonNullable<BuildAppOptions['stores']>['sqsStore'];
export type SnsMemory = NonNullable<BuildAppOptions['stores']>['snsStore'];

const FAUXQS = import.meta.resolve('fauxqs');

/** The stores that `buildApp` would make for itself, with an S3 store that lists and announces as S3 does. */
export async function localStores(onPut: (object: PutObject) => void): Promise<{
  s3Store: S3Memory;
  sqsStore: SqsMemory;
  snsStore: SnsMemory;
}> {
  const { S3Store } = (await import(new URL('./s3/s3Store.js', FAUXQS).href)) as {
    S3Store: new () => S3Memory;
  };
  const { SqsStore } = (await import(new URL('./sqs/sqsStore.js', FAUXQS).href)) as {
    SqsStore: new () => SqsMemory;
  };
  const { SnsStore } = (await import(new URL('./sns/snsStore.js', FAUXQS).href)) as {
    SnsStore: new () => SnsMemory;
  };

  /**
   * fauxqs 1.9.2 sorts keys by locale and pages by comparing UTF-16 code units, so that a listing of mixed-case keys
   * loses and repeats some; S3 lists in UTF-8 order. It also accepts bucket notifications and sends none.
   */
  class OrderedS3Store extends S3Store {
    readonly #sorted = new Map<string, string[]>();

    override putObject(...args: Parameters<S3Memory['putObject']>): ReturnType<S3Memory['putObject']> {
      const [bucket, key] = args;
      const object = super.putObject(...args);
      this.#sorted.delete(bucket);
      onPut({ bucket, key, bytes: object.contentLength, etag: object.etag });
      return object;
    }

    override completeMultipartUpload(
      ...args: Parameters<S3Memory['completeMultipartUpload']>
    ): ReturnType<S3Memory['completeMultipartUpload']> {
      this.#sorted.clear();
      return super.completeMultipartUpload(...args);
    }

    override deleteObject(bucket: string, key: string): void {
      super.deleteObject(bucket, key);
      this.#sorted.delete(bucket);
    }

    override listObjects(
      bucket: string,
      options: NonNullable<Parameters<S3Memory['listObjects']>[1]> = {},
    ): ReturnType<S3Memory['listObjects']> {
      const { prefix = '', delimiter, maxKeys = 1000, startAfter = options.marker ?? '' } = options;
      const objects: ReturnType<S3Memory['listObjects']>['objects'] = [];
      const commonPrefixes: string[] = [];
      for (const key of this.#keys(bucket)) {
        if (!key.startsWith(prefix) || (startAfter !== '' && compare(key, startAfter) <= 0)) continue;
        const end = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
        const common = end < 0 ? undefined : key.slice(0, end + 1);
        if (common !== undefined && (common === commonPrefixes.at(-1) || common === startAfter)) continue;
        if (objects.length + commonPrefixes.length === maxKeys) {
          return { objects, commonPrefixes, isTruncated: true };
        }
        if (common !== undefined) commonPrefixes.push(common);
        else objects.push(this.getObject(bucket, key));
      }
      return { objects, commonPrefixes, isTruncated: false };
    }

    #keys(bucket: string): readonly string[] {
      const known = this.#sorted.get(bucket);
      if (known !== undefined) return known;
      const all = super.listObjects(bucket, { maxKeys: Number.POSITIVE_INFINITY }).objects;
      const keys = all.map(({ key }) => key).sort(compare);
      this.#sorted.set(bucket, keys);
      return keys;
    }
  }
  return { s3Store: new OrderedS3Store(), sqsStore: new SqsStore(), snsStore: new SnsStore() };
}

/** An object that was just put. */
export interface PutObject {
  readonly bucket: string;
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
