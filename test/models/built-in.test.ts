import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { refuseBuiltInName } from '#adapters/model-folder.ts';
import { sha256Hex } from '#core/canonical-json.ts';
import { ModelManifest } from '#core/model-manifest.ts';
import { buildModels } from '#models/built-in.ts';

test.each(buildModels())(
  'building $folder gives the checked-in files, byte for byte',
  async ({ folder, files }) => {
    for (const [name, bytes] of Object.entries(files)) {
      const checkedIn = await readFile(new URL(`../../models/${folder}/${name}`, import.meta.url));
      expect(Buffer.compare(checkedIn, bytes), `${name} differs: run npm run models:build`).toBe(0);
    }
  },
);

test.each(buildModels())('the manifest of $folder names its ONNX file by hash', ({ files }) => {
  const manifest = ModelManifest.parse(JSON.parse(Buffer.from(files['model.json']!).toString('utf8')));
  expect(sha256Hex(files[manifest.file]!)).toBe(manifest.sha256);
});

test.each(buildModels())('no other model may be called $folder', ({ folder }) => {
  expect(() => refuseBuiltInName(folder)).toThrow(/is the name of a built-in model/);
});

test('building twice gives equal bytes', () => {
  expect(buildModels()).toEqual(buildModels());
});
