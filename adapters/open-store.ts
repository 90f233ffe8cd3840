import type { ObjectStore } from '#core/ports/object-store.ts';
import { FolderStore } from './folder-store.ts';

/** Where a store is, as plain data that another process can be told. */
export interface StoreLocation {
  readonly kind: 'folder';
  readonly root: string;
}

/** The store at a location. */
export function openStore(location: StoreLocation): ObjectStore {
  return new FolderStore(location.root);
}
