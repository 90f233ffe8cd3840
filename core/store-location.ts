import { z } from 'zod';
import { SluiceError } from './error.ts';

/** Where an object store is, as plain data that another process can be told. */
export const StoreLocation = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('folder'), root: z.string().min(1) }),
  /** Keys are relative to the prefix, which is empty or ends in "/". */
  z.strictObject({
    kind: z.literal('s3'),
    bucket: z.string().min(3),
    prefix: z.string().regex(/^$|\/$/, 'expected nothing, or a prefix that ends in "/"'),
  }),
]);
export type StoreLocation = z.infer<typeof StoreLocation>;

/** A place in S3: everything whose key begins with `prefix`. */
export interface S3Place {
  readonly bucket: string;
  readonly prefix: string;
}

/** Whether the text names a place in S3 rather than a path. */
export function isS3Url(text: string): boolean {
  return text.startsWith('s3://');
}

/**
 * The bucket and prefix of an `s3://bucket/prefix`. The prefix is taken as it stands: `photos/a` also begins
 * `photos/about.jpg`, as in S3.
 *
 * @throws SluiceError `source-invalid` where it is not one.
 */
export function parseS3Url(url: string): S3Place {
  const [, bucket, prefix] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/s.exec(url) ?? [];
  if (bucket === undefined) {
    throw new SluiceError(
      'source-invalid',
      `expected s3://<bucket>/<prefix>, where a bucket has 3 to 63 lower-case letters, digits, "." and "-"; got "${url}"`,
    );
  }
  return { bucket, prefix: prefix ?? '' };
}
