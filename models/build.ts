import { mkdir, writeFile } from 'node:fs/promises';
import { buildModels } from './built-in.ts';

for (const { folder, files } of buildModels()) {
  const path = new URL(`./${folder}/`, import.meta.url);
  await mkdir(path, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) {
    await writeFile(new URL(name, path), bytes);
    console.log(`models/${folder}/${name}: ${bytes.length} bytes`);
  }
}
