import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

/** `npm run synth` as on a machine without an account, which the network does not reach. */
async function synth(out: string): Promise<void> {
  const child = spawn('npm', ['run', 'synth', '--', 'example', '--out', out], {
    env: {
      PATH: process.env['PATH'],
      HOME: out,
      NODE_OPTIONS: `--import ${pathToFileURL('test/support/no-network.mjs').href}`,
      npm_config_update_notifier: 'false',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = text(child.stderr);
  child.stdout.resume();
  const [code] = await once(child, 'exit');
  expect(code, await said).toBe(0);
}

it('the app makes the same template and the same packages each time, without account, Docker or network', async () => {
  await using first = await temporaryFolder();
  await using second = await temporaryFolder();
  for (const { path } of [first, second]) {
    const startedMs = performance.now();
    await synth(path);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    process.stderr.write(`npm run synth took ${seconds} s\n`);
  }
  const [one, two] = await Promise.all(
    [first, second].map(({ path }) => readFile(join(path, 'cdk.out/Sluice.template.json'), 'utf8')),
  );
  expect(JSON.parse(one ?? '')).toEqual(JSON.parse(two ?? ''));
  const assets = async (path: string): Promise<string[]> =>
    (await readdir(join(path, 'cdk.out'))).filter((name) => name.startsWith('asset.'));
  expect(await assets(first.path)).toEqual(await assets(second.path));
  expect((await assets(first.path)).length).toBeGreaterThanOrEqual(4);
}, 600_000);
