import { z } from 'zod';
import { latestInventory } from '#adapters/latest-inventory.ts';
import {
  type InventoryManifest,
  inventoryFileEntries,
  readInventoryManifest,
} from '#adapters/s3-inventory.ts';
import { SluiceError } from '#core/error.ts';
import type { ImageRef } from '#core/image-ref.ts';
import type { S3Source } from '#core/job-request.ts';
import { parseManifestLine } from '#core/manifest-line.ts';
import type { SourceProblem } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { FIRST_CHARACTERS } from './split-listing.ts';

/** A piece of a source that is listed by itself. All pieces together are the source, each image in one of them. */
export const SourceSegment = z.discriminatedUnion('kind', [
  /** The keys after `after` (or from the prefix's first on) up to and with `to` (or to its last). */
  z.strictObject({ kind: z.literal('keys'), after: z.string().optional(), to: z.string().optional() }),
  /** One file of an inventory report. */
  z.strictObject({ kind: z.literal('inventory-file'), file: z.int().min(0) }),
  /** A list of keys, whole. */
  z.strictObject({ kind: z.literal('list') }),
]);
export type SourceSegment = z.infer<typeof SourceSegment>;

/** What a segment yields. A segment that is listed again from an entry's `cursor` on yields what came after it. */
export interface SegmentEntry {
  readonly cursor: string;
  readonly ref?: ImageRef;
  /** Its `bytes` are 0 because nobody has said how many there are. */
  readonly isSizeUnknown?: boolean | undefined;
  readonly modifiedAt?: Date | undefined;
  readonly problem?: SourceProblem;
}

/** Enough to keep a planner's connections busy; more only makes more shards that are not full. */
const WANTED_SEGMENTS = 64;
/** A listing of so many pages (of 1,000 keys on S3) is done in a second or two. */
const PAGES_OF_ONE_SEGMENT = 10;
/** A list of keys is read whole; a longer one is an inventory's matter. */
const MAX_LIST_BYTES = 256 * 1024 * 1024;

/** The source itself, or where it names a folder of inventory reports, the last of them. */
export async function currentSource(
  source: S3Source,
  openBucket: (bucket: string) => ObjectStore,
  signal?: AbortSignal,
): Promise<S3Source> {
  if (source.kind !== 'inventory' || !source.manifest.endsWith('/')) return source;
  return {
    ...source,
    manifest: await latestInventory(openBucket(source.reports), source.manifest, { signal }),
  };
}

/** Splits a source into segments that can be listed at the same time, in the order of their images. */
export async function sourceSegments(
  source: S3Source,
  openBucket: (bucket: string) => ObjectStore,
  signal?: AbortSignal,
): Promise<SourceSegment[]> {
  switch (source.kind) {
    case 'prefix':
      return keySegments(source.prefix, openBucket(source.bucket), signal);
    case 'inventory': {
      const { files, sourceBucket } = await readInventoryManifest(
        openBucket(source.reports),
        source.manifest,
      );
      if (sourceBucket !== source.bucket) {
        throw new SluiceError(
          'source-invalid',
          `the inventory lists the bucket "${sourceBucket}", the job is about "${source.bucket}": name that bucket, or another report`,
        );
      }
      return files.map((_, file) => ({ kind: 'inventory-file', file }));
    }
    case 'keys':
      return [{ kind: 'list' }];
  }
}

/**
 * What yields the images of a segment, from after a cursor on. The manifest of an inventory is read once for all of them. A segment
 * of keys may get another `to` meanwhile, ahead of what it has yielded.
 */
export function segmentReader(
  source: S3Source,
  openBucket: (bucket: string) => ObjectStore,
  signal?: AbortSignal,
): (segment: SourceSegment, cursor: string | undefined) => AsyncGenerator<SegmentEntry> {
  let manifest: Promise<InventoryManifest> | undefined;
  return (segment, cursor) => {
    if (source.kind === 'prefix' && segment.kind === 'keys') {
      return keyEntries(source.prefix, segment, cursor, openBucket(source.bucket), signal);
    }
    if (source.kind === 'inventory' && segment.kind === 'inventory-file') {
      const reports = openBucket(source.reports);
      manifest ??= readInventoryManifest(reports, source.manifest, signal);
      return inventoryEntries(reports, manifest, segment.file, cursor, signal);
    }
    if (source.kind === 'keys' && segment.kind === 'list') {
      return listEntries(source.manifest, cursor, openBucket(source.lists));
    }
    throw new SluiceError(
      'internal',
      `a segment of kind "${segment.kind}" of a source of kind "${source.kind}"`,
    );
  };
}

/** Ranges of keys between the folders below the prefix, and between first characters where folders are few. */
async function keySegments(
  prefix: string,
  store: ObjectStore,
  signal?: AbortSignal,
): Promise<SourceSegment[]> {
  if (await isSmall(prefix, store, signal)) return [{ kind: 'keys' }];
  const boundaries = new Set<string>();
  for (let level = [prefix], depth = 0; level.length > 0 && depth < 3; depth++) {
    const folders: string[] = [];
    for (const parent of level) {
      if (boundaries.size >= WANTED_SEGMENTS) break;
      const below = await store.folders(parent, signal && { signal });
      for (const folder of below) boundaries.add(folder);
      folders.push(...below);
    }
    if (boundaries.size >= WANTED_SEGMENTS) break;
    level = folders;
  }
  if (boundaries.size < WANTED_SEGMENTS / 2) {
    for (const character of FIRST_CHARACTERS) boundaries.add(prefix + character);
  }
  const sorted = [...boundaries].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const step = Math.max(1, Math.floor(sorted.length / WANTED_SEGMENTS));
  const chosen = sorted.filter((_, i) => i % step === 0);
  return [...chosen, undefined].map((to, i) => {
    const after = chosen[i - 1];
    return { kind: 'keys', ...(after !== undefined && { after }), ...(to !== undefined && { to }) };
  });
}

/** Whether a listing is short enough not to be split: each segment ends with a shard and a pack that are not full. */
async function isSmall(prefix: string, store: ObjectStore, signal?: AbortSignal): Promise<boolean> {
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_OF_ONE_SEGMENT; page++) {
    const { next } = await store.list({
      prefix,
      ...(cursor !== undefined && { cursor }),
      ...(signal && { signal }),
    });
    if (next === undefined) return true;
    cursor = next;
  }
  return false;
}

async function* keyEntries(
  prefix: string,
  segment: SourceSegment & { kind: 'keys' },
  cursor: string | undefined,
  store: ObjectStore,
  signal?: AbortSignal,
): AsyncGenerator<SegmentEntry> {
  let from = cursor ?? segment.after;
  do {
    const page = await store.list({
      prefix,
      ...(from !== undefined && { cursor: from }),
      ...(signal && { signal }),
    });
    for (const { key, etag, bytes, modifiedAt } of page.objects) {
      // It may have given away what lies behind, since the page was listed.
      if (segment.to !== undefined && Buffer.compare(Buffer.from(key), Buffer.from(segment.to)) > 0) return;
      yield { cursor: key, ref: { key, etag, bytes }, modifiedAt };
    }
    from = page.next;
  } while (from !== undefined);
}

async function* inventoryEntries(
  reports: ObjectStore,
  manifest: Promise<InventoryManifest>,
  file: number,
  cursor: string | undefined,
  signal?: AbortSignal,
): AsyncGenerator<SegmentEntry> {
  const done = Number(cursor ?? 0);
  let row = 0;
  for await (const entry of inventoryFileEntries(reports, await manifest, file, signal)) {
    const { ref, isSizeUnknown, lastModified } = entry;
    if (++row > done) yield { cursor: String(row), ref, isSizeUnknown, modifiedAt: lastModified };
  }
}

async function* listEntries(
  manifest: string,
  cursor: string | undefined,
  lists: ObjectStore,
): AsyncGenerator<SegmentEntry> {
  const { body } = await lists.get(manifest, { maxBytes: MAX_LIST_BYTES });
  const done = Number(cursor ?? 0);
  const seen = new Set<string>();
  for (const [i, text] of body
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const line = i + 1;
    const entry = parseManifestLine(text);
    if (entry === undefined) continue;
    const again = 'key' in entry && seen.has(entry.key);
    if ('key' in entry) seen.add(entry.key);
    if (line <= done) continue;
    if ('problem' in entry || again) {
      const problem = 'problem' in entry ? entry.problem : 'the same image as in an earlier line';
      yield { cursor: String(line), problem: { line, problem } };
    } else {
      yield { cursor: String(line), ref: { key: entry.key, etag: '', bytes: 0 }, isSizeUnknown: true };
    }
  }
}
