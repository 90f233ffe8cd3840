import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { goldenPaths, readGolden } from '#adapters/golden.ts';
import { encodeNpy, parseNpy } from '#core/npy.ts';

/** Copies the first of a model's golden images, with its pixels: what functions check their decoder by. */
export async function packageFirstGolden(modelFolder: string, outFolder: string): Promise<void> {
  const golden = await readGolden(modelFolder);
  const [first] = golden?.images ?? [];
  if (first === undefined) return;
  const [from, to] = [goldenPaths(modelFolder), goldenPaths(outFolder)];
  await mkdir(to.folder, { recursive: true });
  await cp(join(from.folder, first.file), join(to.folder, first.file));
  const { shape, data } = parseNpy(await readFile(from.pixels), from.pixels);
  const row = data.subarray(0, data.length / (shape[0] ?? 1));
  await writeFile(to.pixels, encodeNpy([1, ...shape.slice(1)], Uint8Array.from(row)));
  await writeFile(to.results, JSON.stringify({ ...golden, images: [first] }));
}
