import { open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, relative, resolve, sep } from 'node:path';
import { FolderStore } from '#adapters/folder-store.ts';
import { type KeyFilter, listedImages, manifestImages, type SourceEntry } from '#adapters/image-sources.ts';
import { openStore } from '#adapters/open-store.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { sniffFormat } from '#core/image/sniff-format.ts';
import { isCsvHeader } from '#core/manifest-line.ts';
import { isS3Url, parseS3Url, type StoreLocation } from '#core/store-location.ts';
import { SUMMARY_FILE } from '#functions/finalizing/finalize-job.ts';

/** Where a job's images come from. */
export interface JobSource {
  readonly location: StoreLocation;
  /** For people and records: a folder's or a manifest's name, never its whole path. */
  readonly label: string;
  /** The same text for the same source on this machine. */
  readonly identity: string;
  entries(filter: KeyFilter, signal: AbortSignal): AsyncGenerator<SourceEntry>;
}

/**
 * The source that a path names: a folder, or a manifest (a text file with a key on each line).
 *
 * @param root what the manifest's keys are relative to; left out, the manifest's own folder.
 * @throws SluiceError `source-invalid` where there is no such thing.
 */
export async function openJobSource(path: string, root?: string): Promise<JobSource> {
  if (isS3Url(path)) return bucketSource(path, root);
  const info = await stat(path).catch((cause: unknown) => {
    throw new SluiceError(
      'source-invalid',
      `expected a folder or a manifest file, found nothing at "${path}" (${messageOf(cause)})`,
      { cause },
    );
  });
  const real = await realpath(path);
  if (info.isDirectory()) {
    if (root !== undefined) {
      throw new SluiceError('source-invalid', '--root goes with a manifest; a folder is its own root');
    }
    const location: StoreLocation = { kind: 'folder', root: real };
    return {
      location,
      label: basename(real),
      identity: `folder ${real}`,
      entries: (filter, signal) => folderImages(real, filter, signal),
    };
  }
  await expectManifest(path, real);
  const location = manifestRoot(root ?? dirname(real));
  return {
    location,
    label: basename(real),
    identity: `manifest ${real} ${location.kind === 's3' ? root : location.root}`,
    async *entries(filter, signal) {
      yield* manifestImages(real, await openStore(location), filter, signal);
    },
  };
}

/** The images of a folder, and what of it cannot be listed. */
async function* folderImages(
  root: string,
  filter: KeyFilter,
  signal: AbortSignal,
): AsyncGenerator<SourceEntry> {
  const unlisted = new Set<string>();
  const store = new FolderStore(root, { onUnlisted: (problem) => unlisted.add(problem) });
  yield* listedImages(store, filter, signal);
  for (const problem of unlisted) yield { problem: { problem } };
}

/** @throws SluiceError `source-invalid` for a file that is plainly no list of keys. */
async function expectManifest(path: string, real: string): Promise<void> {
  const head = await headOf(real);
  const sniffed = head.length === 0 ? undefined : sniffFormat(head);
  const isImage = sniffed?.kind === 'image';
  if (isImage || sniffed?.kind === 'unsupported' || head.includes(0)) {
    const what = isImage ? `a picture (${sniffed.format})` : 'no text';
    throw new SluiceError(
      'source-invalid',
      `expected a folder or a manifest (a text file with one key a line), "${path}" is ${what}: ` +
        '"sluice explain <image>" shows one image, "sluice run <its folder> --include <name>" audits it',
    );
  }
  const [line = ''] = head
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split('\n');
  if (isCsvHeader(line)) {
    throw new SluiceError(
      'source-invalid',
      `"${path}" is a table with the columns ${line.trim()}: expected one key a line, or a JSON object with a "key" a line`,
    );
  }
}

const HEAD_BYTES = 4096;

async function headOf(path: string): Promise<Buffer> {
  try {
    await using file = await open(path);
    const head = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await file.read(head, 0, HEAD_BYTES, 0);
    return head.subarray(0, bytesRead);
  } catch (cause) {
    throw new SluiceError('source-invalid', `the manifest "${path}" cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** What lies below a prefix of a bucket. Its keys are whole keys: results can be joined with what else is known of them. */
function bucketSource(url: string, root: string | undefined): JobSource {
  if (root !== undefined) {
    throw new SluiceError('source-invalid', '--root goes with a manifest; a bucket is its own root');
  }
  const { bucket, prefix } = parseS3Url(url);
  const location: StoreLocation = { kind: 's3', bucket, prefix: '' };
  return {
    location,
    label: url,
    identity: `bucket ${url}`,
    async *entries(filter, signal) {
      yield* listedImages(await openStore(location), { ...filter, prefix }, signal);
    },
  };
}

function manifestRoot(root: string): StoreLocation {
  if (!isS3Url(root)) return { kind: 'folder', root: resolve(root) };
  const { bucket, prefix } = parseS3Url(root);
  return { kind: 's3', bucket, prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/` };
}

/** What a run writes beside the images where its output folder is the source itself. */
const RESULT_FILES = ['audit.parquet', 'audit.csv', 'audit.jsonl', SUMMARY_FILE, 'report.html'];

/** The key prefix under which `folder` lies inside the source, if it does: results are not audited. */
export function prefixInside(location: StoreLocation, folder: string): string[] {
  if (location.kind !== 'folder') return [];
  const path = relative(location.root, resolve(folder));
  if (path === '') return RESULT_FILES;
  if (path.startsWith('..') || resolve(path) === path) return [];
  return [`${path.split(sep).join('/')}/`];
}
