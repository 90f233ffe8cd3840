import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '#cli/read-config.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

async function withFile<T>(content: unknown, use: (path: string) => Promise<T>): Promise<T> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'config.json');
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return await use(path);
}

describe('the configuration', () => {
  it('takes flags over the environment over the file over defaults', () =>
    withFile({ batchSize: 1, packSize: 2, shardSize: 3, limits: { maxFrames: 4 } }, async (file) => {
      const config = await readConfig({
        file,
        env: { SLUICE_PACK_SIZE: '12', SLUICE_SHARD_SIZE: '13', SLUICE_MAX_PIXELS: '7', PATH: '/bin' },
        flags: { shardSize: '100' },
      });
      expect(config).toMatchObject({
        batchSize: 1,
        packSize: 12,
        shardSize: 100,
        limits: { maxFrames: 4, maxPixels: 7 },
      });
      expect(config.limits.maxSecondsPerImage).toBe(10);
    }));

  it('reads sizes with binary units', () =>
    withFile({}, async (file) => {
      const config = await readConfig({
        file,
        env: { SLUICE_MAX_IMAGE_BYTES: '2MiB' },
        flags: { maxInFlightBytes: '1.5 GiB' },
      });
      expect([config.limits.maxImageBytes, config.maxInFlightBytes]).toEqual([2 * 2 ** 20, 1.5 * 2 ** 30]);
    }));

  it('reports every bad value at once, each with where it came from', () =>
    withFile({ batchSize: 0, colour: 'red', limits: { maxFrame: 1 } }, async (file) => {
      const error = await readConfig({
        file,
        env: { SLUICE_PACK_SIZE: 'many', SLUICE_BATCHSIZE: '3' },
        flags: { failOn: 'never', maxPixels: '-5' },
      }).catch((e: unknown) => e);
      expect(error).toMatchObject({ code: 'config-invalid' });
      const { message } = error as Error;
      for (const part of [
        /batchSize: .* got 0 \(from .*config\.json\)/,
        /colour: no such setting/,
        /limits\.maxFrame: no such setting/,
        /packSize: .* got "many" \(from SLUICE_PACK_SIZE\)/,
        /SLUICE_BATCHSIZE: no such setting/,
        /failOn: .* got "never" \(from --fail-on\)/,
        /limits\.maxPixels: .* got "-5" \(from --max-pixels\)/,
      ]) {
        expect(message).toMatch(part);
      }
    }));

  it('holds the rules between settings', () =>
    withFile({ packSize: 20, shardSize: 10 }, async (file) => {
      await expect(readConfig({ file, env: {}, flags: {} })).rejects.toThrow(
        /packSize: expected at most shardSize/,
      );
    }));

  it('says when a named file is not there, or is no JSON', async () => {
    await expect(readConfig({ file: '/nowhere/config.json', env: {}, flags: {} })).rejects.toThrow(
      /cannot be read/,
    );
    await withFile('{', (file) =>
      expect(readConfig({ file, env: {}, flags: {} })).rejects.toThrow(/not a JSON object/),
    );
  });

  it('takes several formats from one flag as from one variable, and globs with commas as they are', () =>
    withFile({}, async (file) => {
      const config = await readConfig({
        file,
        env: {},
        flags: { format: ['csv,jsonl'], include: ['*.{jpg,png}'] },
      });
      expect(config).toMatchObject({ formats: ['csv', 'jsonl'], include: ['*.{jpg,png}'] });
    }));

  it.each(['5MB', '1e6', '-1'])('says which units there are where it gets %j', (text) =>
    withFile({}, async (file) => {
      const reading = readConfig({ file, env: {}, flags: { maxImageBytes: text, maxPixels: text } });
      await expect(reading).rejects.toThrow(
        /maxImageBytes: expected .*MiB.*got[\s\S]*maxPixels: expected a number/,
      );
    }),
  );
});
