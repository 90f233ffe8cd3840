import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { demoSamples } from './demo/samples.ts';

/** Characters that Windows does not allow in file names. */
const FORBIDDEN_ON_WINDOWS = /[<>:"|?*]/;

/**
 * Writes the demo's sample images under `folder`: good ones in many formats, dark, blurry, blank, gray,
 * odd, rotated and duplicate ones, and files that are broken or hostile. The same bytes every time.
 */
export async function writeDemoSamples(folder: string): Promise<{ files: number }> {
  const samples = demoSamples().filter(
    ([path]) => process.platform !== 'win32' || !FORBIDDEN_ON_WINDOWS.test(path),
  );
  await Promise.all(
    samples.map(async ([path, file]) => {
      const target = join(folder, path);
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, await file);
    }),
  );
  return { files: samples.length };
}
