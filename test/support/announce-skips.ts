import { spawnSync } from 'node:child_process';
import { chromium } from './browser.ts';
import { otherS3, otherSqs } from './other-services.ts';
import { sharedFolder } from './shared-folder.ts';

/** Each project of the tests loads this file for itself, in one process. */
const ANNOUNCED = 'SLUICE_SKIPS_ANNOUNCED';

/** Says once, before the tests, which of them will be skipped on this machine and what they want. */
export default function announceSkips(): void {
  if (process.env[ANNOUNCED] !== undefined) return;
  process.env[ANNOUNCED] = '1';
  const python = process.env['SLUICE_PYTHON'] ?? 'python3';
  const lacks = (modules: string): boolean =>
    spawnSync(python, ['-c', `import ${modules}`], { stdio: 'ignore' }).status !== 0;
  const say = (line: string): void => void process.stderr.write(`skipped: ${line}\n`);
  if (sharedFolder() === undefined)
    say('tests on real and hostile images (no ../shared, nor SLUICE_SHARED_DIR)');
  if (lacks('safetensors, numpy'))
    say(`a test that opens a pack in Python (${python} lacks safetensors or numpy; SLUICE_PYTHON)`);
  if (chromium === undefined) say('pages in a browser (no Chromium; SLUICE_CHROMIUM)');
  if (otherS3 === undefined) say('the object store contract on another S3 (SLUICE_S3_ENDPOINT)');
  if (otherSqs === undefined) say('the message queue contract on another SQS (SLUICE_SQS_ENDPOINT)');
  if (lacks('PIL.Image'))
    say(`tests that compare pixels with Pillow's (${python} lacks pillow; SLUICE_PYTHON)`);
  if (lacks('pyarrow')) say(`a test that reads the results with pyarrow (${python} lacks it; SLUICE_PYTHON)`);
}
