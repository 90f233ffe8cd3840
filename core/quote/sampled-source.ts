import type { ImageRef } from '#core/image-ref.ts';
import { Random } from '#core/simulation/random.ts';

/** Images of one format and of similar file size, of which some are decoded to speak for all. */
export interface Stratum {
  /** By the suffix of the key: what is in the file is known only once it is read. */
  readonly format: string;
  /** Of the smallest and of the largest file. */
  readonly fromBytes: number;
  readonly toBytes: number;
  readonly images: number;
  readonly bytes: number;
  /** The next images at random, without those that were drawn before; fewer where no more are left. */
  draw(images: number): ImageRef[];
}

const FORMATS: Readonly<Record<string, string>> = {
  jpg: 'jpeg',
  jpeg: 'jpeg',
  jpe: 'jpeg',
  jfif: 'jpeg',
  png: 'png',
  webp: 'webp',
  gif: 'gif',
  avif: 'avif',
  heic: 'heic',
  heif: 'heic',
  tif: 'tiff',
  tiff: 'tiff',
  bmp: 'bmp',
};
/** Cells to a doubling of the file size: strata are put together from them. */
const CELLS_PER_DOUBLING = 8;
/** Beyond six strata little is gained: Cochran, Sampling Techniques (3rd ed.), section 5A.8. */
const MOST_STRATA_OF_A_FORMAT = 6;
const MOST_STRATA = 12;
/** A stratum is no use without some images in it. */
const IMAGES_PER_STRATUM = 5;

/**
 * A listing as it goes by, and a random sample of it: a source of a billion keys takes no more memory than one of a
 * thousand. Images fall into fine cells of format and file size, and each cell keeps some of its refs at random (the
 * reservoir of Vitter, Random Sampling with a Reservoir, 1985: algorithm R). The same listing and seed give the same sample.
 *
 * @example
 * const source = new SampledSource({ seed: 1, capacity: 600 });
 * for await (const { ref } of listing) source.add(ref);
 * const [stratum] = source.strata(200);
 * const refs = stratum.draw(20);
 */
export class SampledSource {
  readonly #cells = new Map<string, Cell>();
  readonly #random: Random;
  readonly #capacity: number;
  images = 0;
  bytes = 0;

  /** @param capacity images that may be drawn from one stratum. */
  constructor({ seed, capacity }: { seed: number; capacity: number }) {
    this.#random = new Random(seed);
    this.#capacity = capacity;
  }

  add(ref: ImageRef): void {
    const format = formatOf(ref.key);
    const size = Math.floor(CELLS_PER_DOUBLING * Math.log2(1 + ref.bytes));
    const name = `${format} ${size}`;
    let cell = this.#cells.get(name);
    if (cell === undefined) {
      cell = { format, images: 0, bytes: 0, fromBytes: ref.bytes, toBytes: ref.bytes, kept: [] };
      this.#cells.set(name, cell);
    }
    cell.images++;
    cell.bytes += ref.bytes;
    cell.fromBytes = Math.min(cell.fromBytes, ref.bytes);
    cell.toBytes = Math.max(cell.toBytes, ref.bytes);
    if (cell.kept.length < this.#capacity) {
      cell.kept.push(ref);
    } else {
      const place = Math.floor(this.#random.uniform() * cell.images);
      if (place < this.#capacity) cell.kept[place] = ref;
    }
    this.images++;
    this.bytes += ref.bytes;
  }

  /**
   * The source in strata: by format, and within a format by file size, such that each has about the same share of its
   * bytes, and so of its work. Call it once, after the last `add`.
   *
   * @param sampleImages how many are to be drawn from all of them: a small sample has fewer strata.
   */
  strata(sampleImages: number): Stratum[] {
    const most = Math.min(MOST_STRATA, Math.max(1, Math.floor(sampleImages / IMAGES_PER_STRATUM)));
    const formats = [...new Set([...this.#cells.values()].map(({ format }) => format))].sort();
    return formats.flatMap((format) => {
      const cells = [...this.#cells.values()]
        .filter((cell) => cell.format === format)
        .sort((a, b) => a.fromBytes - b.fromBytes);
      const bytes = cells.reduce((sum, cell) => sum + cell.bytes, 0);
      const images = cells.reduce((sum, cell) => sum + cell.images, 0);
      // By images as well as bytes: a byte of WebP takes several times as long as one of PNG.
      const share = (images / this.images + bytes / Math.max(1, this.bytes)) / 2;
      const count = Math.min(MOST_STRATA_OF_A_FORMAT, Math.max(1, Math.round(most * share)));
      return inEqualShares(cells, bytes / count).map((group) => stratumOf(group, this.#random));
    });
  }
}

interface Cell {
  readonly format: string;
  images: number;
  bytes: number;
  fromBytes: number;
  toBytes: number;
  readonly kept: ImageRef[];
}

function formatOf(key: string): string {
  const suffix = /\.([a-z0-9]+)$/i.exec(key)?.[1]?.toLowerCase() ?? '';
  return FORMATS[suffix] ?? 'other';
}

/** Neighbouring cells together, a new group as soon as the last one has its share of bytes. */
function inEqualShares(cells: readonly Cell[], shareBytes: number): Cell[][] {
  const groups: Cell[][] = [];
  let bytesBefore = 0;
  let last = -1;
  for (const cell of cells) {
    // By the middle of the cell, so that one large cell does not swallow the next group.
    const group = shareBytes > 0 ? Math.floor((bytesBefore + cell.bytes / 2) / shareBytes) : 0;
    if (group === last) groups.at(-1)?.push(cell);
    else groups.push([cell]);
    last = group;
    bytesBefore += cell.bytes;
  }
  return groups;
}

function stratumOf(cells: readonly Cell[], random: Random): Stratum {
  const [first] = cells as [Cell];
  const open = cells.map(({ images, kept }) => ({ left: images, kept: shuffled(kept, random) }));
  let left = open.reduce((sum, cell) => sum + cell.left, 0);
  // A cell is chosen as often as it has images left, so that each set of images is as likely as any other.
  const next = (): ImageRef | undefined => {
    let place = Math.floor(random.uniform() * left);
    for (const cell of open) {
      place -= cell.left;
      if (place >= 0) continue;
      cell.left--;
      left--;
      return cell.kept.pop();
    }
    return undefined;
  };
  return {
    format: first.format,
    fromBytes: first.fromBytes,
    toBytes: (cells.at(-1) as Cell).toBytes,
    images: left,
    bytes: cells.reduce((sum, cell) => sum + cell.bytes, 0),
    draw(images) {
      const refs: ImageRef[] = [];
      while (refs.length < images) {
        const ref = next();
        if (ref === undefined) break;
        refs.push(ref);
      }
      return refs;
    },
  };
}

/** In random order (Fisher and Yates), in a new array. */
export function shuffled<T>(values: readonly T[], random: Random): T[] {
  const all = [...values];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1));
    [all[i], all[j]] = [all[j] as T, all[i] as T];
  }
  return all;
}
