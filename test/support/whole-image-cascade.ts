import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NO_IMAGE, redOf, tinyImages, writeTinyCascade } from './tiny-cascade.ts';

/** Images that are handed on are at least so red, on average. */
const REDDISH = 90;
const REDDEST = 125;

/**
 * Writes a cascade whose stages all see whole images. `colours` and `levels` see all of them, and take pictures in the same way as
 * `reddish` and `reddest`, each of which follows on the one before it; `smooth` sees all, and takes them in another way, as
 * `smooth-reds` does, which follows on `levels`.
 */
export async function writeWholeImageCascade(
  folder: string,
): Promise<{ stages: { name: string; model: string; from?: object }[] }> {
  const { stages, strict } = await writeTinyCascade(folder);
  const means = stages[1]?.model as string;
  const smooth = join(folder, 'smooth');
  await cp(means, smooth, { recursive: true });
  const file = join(smooth, 'model.json');
  const manifest = JSON.parse(await readFile(file, 'utf8'));
  const preprocess = { ...manifest.preprocess, kernel: 'linear' };
  await writeFile(file, JSON.stringify({ ...manifest, name: 'smooth', preprocess }));
  const redderThan = (stage: string, measure: string, above: number): object => ({
    stage,
    images: { when: { measure, above } },
  });
  return {
    stages: [
      { name: 'colours', model: means },
      { name: 'levels', model: strict },
      { name: 'reddish', model: strict, from: redderThan('colours', 'red', REDDISH) },
      { name: 'smooth', model: smooth },
      { name: 'reddest', model: means, from: redderThan('reddish', 'level_r', REDDEST) },
      { name: 'smooth-reds', model: smooth, from: redderThan('levels', 'level_r', REDDEST) },
    ],
  };
}

/** Of so many of the tiny images, the names of those that each stage of the cascade sees. */
export async function seenByStages(count: number): Promise<Readonly<Record<string, string[]>>> {
  const images = [...(await tinyImages(count)).keys()];
  const redder = (than: number): string[] =>
    images.filter((_, i) => {
      const [left, right] = redOf(i);
      return i !== NO_IMAGE && (left + right) / 2 > than;
    });
  return {
    colours: images,
    levels: images,
    reddish: redder(REDDISH),
    smooth: images,
    reddest: redder(REDDEST),
    'smooth-reds': redder(REDDEST),
  };
}
