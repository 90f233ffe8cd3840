/**
 * The key behind the URL encoding of S3's event notifications and CSV inventories: form encoding, in which a space
 * is "+" and everything unsafe is percent-encoded UTF-8 ("red flower.jpg" is "red+flower.jpg", a real "+" is "%2B").
 * Whether "/" is encoded makes no difference.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 *
 * @throws URIError where a "%" begins no valid sequence.
 */
export function decodeS3Key(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll('+', ' '));
}

/**
 * Whether an object only marks a folder: the S3 console, and tools that mount a bucket, create an empty object
 * "photos/" for the folder "photos". One with content is an object like any other.
 */
export function isFolderMarker(key: string, bytes: number): boolean {
  return bytes === 0 && key.endsWith('/');
}
