import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { NODE_ARGUMENTS } from '#adapters/runtime.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { endlessModel, putModel } from '#test/support/tiny-models.ts';

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

it('a child that hangs does not outlive its parent', async () => {
  await using folder = await temporaryFolder();
  const path = await putModel(folder.path, endlessModel({ prepared: true }));
  const parent = spawn(process.execPath, [...NODE_ARGUMENTS, 'test/support/leaving-parent.ts', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  parent.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await once(parent, 'close');
  const pid = Number(said);
  expect(pid).toBeGreaterThan(0);
  // A process that was killed is gone once whoever inherited it has looked.
  for (let tries = 0; tries < 50 && isAlive(pid); tries++) await sleep(100);
  const survived = isAlive(pid);
  if (survived) process.kill(pid, 'SIGKILL');
  expect(survived).toBe(false);
});
