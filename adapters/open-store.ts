import type { ObjectStore } from '#core/ports/object-store.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { FolderStore } from './folder-store.ts';

/** The store at a location. The AWS SDK takes time and memory in every process: it is loaded where there is a bucket. */
export async function openStore(location: StoreLocation): Promise<ObjectStore> {
  if (location.kind === 'folder') return new FolderStore(location.root);
  const { S3ObjectStore } = await import('./s3-store.ts');
  return new S3ObjectStore(location);
}
