import type { ObjectStore } from '#core/ports/object-store.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { FolderStore } from './folder-store.ts';
import { S3ObjectStore } from './s3-store.ts';

/** The store at a location. */
export function openStore(location: StoreLocation): ObjectStore {
  return location.kind === 's3' ? new S3ObjectStore(location) : new FolderStore(location.root);
}
