import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDemoSamples } from './demo-samples.ts';
import { run } from './run.ts';

/** `sluice demo`: samples made with code, audited like any folder. @returns the exit code. */
export async function demo(out: string): Promise<number> {
  const samples = join(out, 'images');
  await rm(samples, { recursive: true, force: true });
  const { files } = await writeDemoSamples(samples);
  process.stderr.write(`made ${files} sample images in ${samples}\n`);
  // Always afresh, and by the defaults: the demo must not depend on whose machine it runs on.
  return run(samples, { out: join(out, 'audit'), force: true }, {});
}
