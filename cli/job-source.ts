import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, relative, resolve, sep } from 'node:path';
import { FolderStore } from '#adapters/folder-store.ts';
import { type KeyFilter, listedImages, manifestImages, type SourceEntry } from '#adapters/image-sources.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { StoreLocation } from '#core/store-location.ts';

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
      entries: (filter, signal) => listedImages(new FolderStore(real), filter, signal),
    };
  }
  const imagesRoot = resolve(root ?? dirname(real));
  return {
    location: { kind: 'folder', root: imagesRoot },
    label: basename(real),
    identity: `manifest ${real} ${imagesRoot}`,
    entries: (filter, signal) => manifestImages(real, new FolderStore(imagesRoot), filter, signal),
  };
}

/** The key prefix under which `folder` lies inside the source, if it does: results are not audited. */
export function prefixInside(location: StoreLocation, folder: string): string[] {
  if (location.kind !== 'folder') return [];
  const path = relative(location.root, resolve(folder));
  if (path === '' || path.startsWith('..') || resolve(path) === path) return [];
  return [`${path.split(sep).join('/')}/`];
}
