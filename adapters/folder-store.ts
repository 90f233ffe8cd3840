import { isUtf8 } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import {
  copyFile,
  type FileHandle,
  link,
  open,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { SluiceError } from '#core/error.ts';
import type {
  GetOptions,
  ListPage,
  ObjectInfo,
  ObjectStore,
  ObjectWriter,
  StoredObject,
} from '#core/ports/object-store.ts';
import { makeFolder } from './make-folder.ts';

const DEFAULT_PAGE_SIZE = 1000;

/** What a folder store may be told. */
export interface FolderStoreOptions {
  /** Objects in one page of a listing. */
  readonly pageSize?: number;
  /**
   * Is told, in a sentence, of what a listing cannot show: folders that may not be read, names that are no text; perhaps
   * more than once. Left out, a listing that comes to such a thing throws.
   */
  readonly onUnlisted?: (problem: string) => void;
}

/**
 * A folder as an object store: each file below `root` is an object under its relative path.
 *
 * Writes go to a temporary name first and are renamed, so a reader, or a crash, never meets half an object.
 * Names that begin with a dot are not listed: they are temporary files, or the desktop's own (`.DS_Store`).
 * Links to files are followed, links to folders are not: they may lead in a circle.
 *
 * @example
 * const store = new FolderStore('photos');
 * const { body } = await store.get('2024/beach.jpg', { maxBytes: 64 * 1024 * 1024 });
 */
export class FolderStore implements ObjectStore {
  readonly #root: string;
  readonly #pageSize: number;
  readonly #onUnlisted: FolderStoreOptions['onUnlisted'];

  constructor(root: string, options: FolderStoreOptions = {}) {
    this.#root = root;
    this.#pageSize = options.pageSize ?? DEFAULT_PAGE_SIZE;
    this.#onUnlisted = options.onUnlisted;
  }

  async list(options: { prefix?: string; cursor?: string; signal?: AbortSignal } = {}): Promise<ListPage> {
    const { prefix = '', cursor, signal } = options;
    const objects: ObjectInfo[] = [];
    for await (const key of this.#keys('', prefix, cursor)) {
      signal?.throwIfAborted();
      if (objects.length === this.#pageSize) return { objects, next: (objects.at(-1) as ObjectInfo).key };
      const info = await this.head(key);
      // A dangling link is listed without size: reading it later says "missing", in a row of its own.
      objects.push(info ?? { key, bytes: 0, etag: '' });
    }
    return { objects };
  }

  async folders(prefix: string): Promise<string[]> {
    const parent = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    const entries = await this.#entries(parent);
    return entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${parent}${entry.name}/`)
      .filter((folder) => folder.startsWith(prefix));
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    const file = await this.#open(key);
    try {
      const info = await file.stat();
      if (!info.isFile()) throw new SluiceError('object-missing', `expected a file at "${key}"`);
      if (options.maxBytes !== undefined && info.size > options.maxBytes) {
        throw new SluiceError(
          'object-too-large',
          `"${key}" has ${info.size} bytes, the limit is ${options.maxBytes}`,
        );
      }
      const body = await readWhole(file, (options.allocate ?? newBuffer)(info.size), options.signal);
      options.watch?.()(body);
      return { body, etag: etagOf(info) };
    } catch (error) {
      throw storeError(key, error);
    } finally {
      await file.close();
    }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    try {
      const info = await stat(this.#path(key));
      return info.isFile() ? { key, bytes: info.size, etag: etagOf(info) } : undefined;
    } catch (error) {
      const failure = storeError(key, error);
      if (failure.code === 'object-missing' || failure.code === 'object-forbidden') return undefined;
      throw failure;
    }
  }

  async put(
    key: string,
    body: Uint8Array | readonly Uint8Array[],
    options: { ifAbsent?: boolean; signal?: AbortSignal } = {},
  ): Promise<'written' | 'exists'> {
    const path = this.#path(key);
    const temporary = temporaryName(path);
    try {
      await writeInFolder(temporary, body as Uint8Array);
      if (options.ifAbsent !== true) {
        await rename(temporary, path);
        return 'written';
      }
      // A hard link, unlike a rename, fails where the name is taken.
      await link(temporary, path).catch((error: unknown) => linkless(error, temporary, path));
      await rm(temporary, { force: true });
      return 'written';
    } catch (error) {
      await rm(temporary, { force: true });
      if (options.ifAbsent === true && errnoOf(error) === 'EEXIST') return 'exists';
      throw storeError(key, error);
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) await rm(this.#path(key), { force: true });
  }

  async createWriter(key: string): Promise<ObjectWriter> {
    const path = this.#path(key);
    const temporary = temporaryName(path);
    await makeFolder(dirname(path));
    const file = await open(temporary, 'wx');
    return {
      write: async (chunk) => {
        await file.writeFile(chunk);
      },
      commit: async () => {
        await file.sync();
        await file.close();
        await rename(temporary, path);
      },
      abort: async () => {
        await file.close();
        await rm(temporary, { force: true });
      },
    };
  }

  /** Keys in ascending UTF-8 order, from after `cursor` on. A folder sorts as if its name ended in "/". */
  async *#keys(folder: string, prefix: string, cursor: string | undefined): AsyncGenerator<string> {
    for (const entry of await this.#entries(folder)) {
      const key = `${folder}${entry.name}`;
      if (entry.isDirectory()) {
        const inside = `${key}/`;
        if (!inside.startsWith(prefix) && !prefix.startsWith(inside)) continue;
        if (cursor !== undefined && !cursor.startsWith(inside) && compareKeys(inside, cursor) < 0) continue;
        yield* this.#keys(inside, prefix, cursor);
      } else if (key.startsWith(prefix) && (cursor === undefined || compareKeys(key, cursor) > 0)) {
        if (entry.isFile() || (entry.isSymbolicLink() && !(await this.#isFolder(key)))) yield key;
      }
    }
  }

  async #entries(folder: string): Promise<Dirent[]> {
    try {
      const all = await readdir(this.#path(folder), { withFileTypes: true });
      const entries = all.some(({ name }) => name.includes('\uFFFD'))
        ? await this.#textNames(folder, all)
        : all;
      const sortName = (entry: Dirent): string => (entry.isDirectory() ? `${entry.name}/` : entry.name);
      return entries
        .filter((entry) => !entry.name.startsWith('.'))
        .sort((a, b) => compareKeys(sortName(a), sortName(b)));
    } catch (error) {
      const failure = storeError(folder, error);
      // A folder that went away while it was listed holds nothing any more.
      if (failure.code === 'object-missing' && folder !== '') return [];
      if (failure.code !== 'object-forbidden' || folder === '' || this.#onUnlisted === undefined)
        throw failure;
      this.#onUnlisted(`the folder "${folder}" may not be read: nothing in it is audited`);
      return [];
    }
  }

  /** Those whose names are UTF-8: two others may look the same, and neither could be opened by what it looks like. */
  async #textNames(folder: string, entries: readonly Dirent[]): Promise<Dirent[]> {
    const raw = await readdir(this.#path(folder), { encoding: 'buffer' });
    const text = new Set(raw.filter(isUtf8).map((name) => name.toString('utf8')));
    for (const name of raw.filter((bytes) => !isUtf8(bytes))) {
      const problem = `the name "${folder}${shownBytes(name)}" is not UTF-8: rename it`;
      if (this.#onUnlisted === undefined) throw new SluiceError('source-invalid', problem);
      this.#onUnlisted(problem);
    }
    return entries.filter(({ name }) => text.has(name));
  }

  async #isFolder(key: string): Promise<boolean> {
    return stat(this.#path(key)).then(
      (info) => info.isDirectory(),
      () => false,
    );
  }

  async #open(key: string): Promise<FileHandle> {
    try {
      // Without O_NONBLOCK, opening a named pipe would wait for somebody to write into it.
      return await open(this.#path(key), constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    } catch (error) {
      throw storeError(key, error);
    }
  }

  #path(key: string): string {
    const parts = key.split('/');
    if (key.startsWith('/') || parts.includes('..') || key.includes('\0')) {
      throw new SluiceError(
        'object-missing',
        `"${key}" is no key: keys are relative and never leave the store`,
      );
    }
    return join(this.#root, parts.join(sep));
  }
}

/** For file systems without hard links (FAT, some network folders): an exclusive copy, which a crash may cut short. */
async function linkless(error: unknown, from: string, to: string): Promise<void> {
  if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(errnoOf(error) ?? '')) throw error;
  await copyFile(from, to, constants.COPYFILE_EXCL);
}

/** Not from Node's shared pool: a pack's memory is handed over to the inference thread whole. */
function newBuffer(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(bytes);
}

async function readWhole(file: FileHandle, body: Buffer, signal: AbortSignal | undefined): Promise<Buffer> {
  let filled = 0;
  while (filled < body.length) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(body, filled, body.length - filled);
    if (bytesRead === 0) return body.subarray(0, filled);
    filled += bytesRead;
  }
  return body;
}

/** Size and modification time: reading every byte for a hash would cost more than the audit. */
function etagOf(info: { size: number; mtimeMs: number }): string {
  return `${info.size.toString(16)}-${Math.round(info.mtimeMs * 1000).toString(16)}`;
}

/** Writes a file, and makes its folder only where there is none: it mostly is there. */
async function writeInFolder(path: string, body: Uint8Array): Promise<void> {
  const write = (): Promise<void> => writeFile(path, body, { flush: false });
  await write().catch(async (error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await makeFolder(dirname(path));
    await write();
  });
}

function temporaryName(path: string): string {
  return join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`);
}

/** Bytes that are no text, for people: "bad\\xff.jpg". */
function shownBytes(name: Buffer): string {
  return name
    .toString('latin1')
    .replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** UTF-8 byte order, as S3 lists: JavaScript's own order differs beyond U+FFFF. */
function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function storeError(key: string, cause: unknown): SluiceError {
  if (cause instanceof SluiceError) return cause;
  const errno = errnoOf(cause);
  switch (errno) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'EISDIR':
    case 'ELOOP':
    case 'ENAMETOOLONG':
      return new SluiceError('object-missing', `no object at "${key}" (${errno})`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new SluiceError(
        'object-forbidden',
        `not allowed to use "${key}" (${errno}): check its permissions`,
        {
          cause,
        },
      );
    default:
      return new SluiceError(
        'store-unavailable',
        `the folder did not answer for "${key}" (${errno ?? String(cause)})`,
        {
          cause,
          retryable: true,
        },
      );
  }
}
