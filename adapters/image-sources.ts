import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import picomatch from 'picomatch';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ImageRef } from '#core/image-ref.ts';
import { parseManifestLine } from '#core/manifest-line.ts';
import type { SourceProblem } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

/** What a source yields: an image to audit, or a line that names none. */
export type SourceEntry = { readonly ref: ImageRef } | { readonly problem: SourceProblem };

/** Which keys of a source are audited, as glob patterns; no `include` means all. */
export interface KeyFilter {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Only keys that begin so. */
  readonly prefix?: string;
  /** Keys that begin so are left out, whatever the patterns say. */
  readonly excludePrefixes: readonly string[];
}

/** Every object of the store, in key order. */
export async function* listedImages(
  store: ObjectStore,
  filter: KeyFilter,
  signal?: AbortSignal,
): AsyncGenerator<SourceEntry> {
  const wanted = keyMatcher(filter);
  let cursor: string | undefined;
  do {
    const page = await store.list({
      ...(filter.prefix && { prefix: filter.prefix }),
      ...(cursor === undefined ? {} : { cursor }),
      ...(signal && { signal }),
    });
    for (const { key, etag, bytes } of page.objects) if (wanted(key)) yield { ref: { key, etag, bytes } };
    cursor = page.next;
  } while (cursor !== undefined);
}

/** Every image that the lines of a manifest name, in their order; a key named twice is audited once. */
export async function* manifestImages(
  manifestPath: string,
  store: ObjectStore,
  filter: KeyFilter,
  signal?: AbortSignal,
): AsyncGenerator<SourceEntry> {
  const wanted = keyMatcher(filter);
  const firstLine = new Map<string, number>();
  let line = 0;
  const input = createReadStream(manifestPath, { encoding: 'utf8', ...(signal && { signal }) });
  try {
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      line++;
      const entry = parseManifestLine(line === 1 ? text.replace(/^\uFEFF/, '') : text);
      if (entry === undefined) continue;
      if ('problem' in entry) {
        yield { problem: { line, problem: entry.problem } };
        continue;
      }
      const seen = firstLine.get(entry.key);
      if (seen !== undefined) {
        yield { problem: { line, problem: `the same image as in line ${seen}` } };
        continue;
      }
      if (!wanted(entry.key)) continue;
      firstLine.set(entry.key, line);
      const info = await store.head(entry.key, signal && { signal });
      yield { ref: { key: entry.key, etag: info?.etag ?? '', bytes: info?.bytes ?? 0 } };
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw new SluiceError('source-invalid', `could not read the manifest: ${messageOf(cause)}`, { cause });
  } finally {
    input.destroy();
  }
}

function keyMatcher(filter: KeyFilter): (key: string) => boolean {
  const options = { dot: true, nocase: true };
  const include = filter.include.length > 0 ? picomatch([...filter.include], options) : () => true;
  const exclude = filter.exclude.length > 0 ? picomatch([...filter.exclude], options) : () => false;
  return (key) =>
    !key.endsWith('/') &&
    include(key) &&
    !exclude(key) &&
    !filter.excludePrefixes.some((prefix) => key.startsWith(prefix));
}
