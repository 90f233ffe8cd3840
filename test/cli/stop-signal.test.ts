import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';

const STOP_SIGNAL = new URL('../../cli/stop-signal.ts', import.meta.url).href;

describe('a process that is told to stop', () => {
  it('ends by itself where what is in hand does not come to an end', async () => {
    const program = `
      import { stopOnSignals } from ${JSON.stringify(STOP_SIGNAL)};
      stopOnSignals((text) => process.stderr.write(text), 50);
      setInterval(() => undefined, 1000);
      process.stdout.write('ready');`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program]);
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    const [exitCode] = await once(child, 'close');
    expect([exitCode, said]).toEqual([130, expect.stringMatching(/stopping.*\n.*still not done/)]);
  });
});
