import { setTimeout as sleep } from 'node:timers/promises';
import { sluice } from './sluice-command.ts';

/**
 * Runs the command again and again and kills it at a random moment, until it was killed so often. A run that came to its end
 * first begins anew.
 *
 * @param seconds what an undisturbed run takes.
 */
export async function runKilled(times: number, seconds: number, args: readonly string[]): Promise<void> {
  let killed = 0;
  let startOver = true;
  while (killed < times) {
    const under = sluice(...args, ...(startOver ? ['--force'] : []));
    await Promise.race([under.result, sleep(300 + Math.random() * seconds * 1000)]);
    under.process.kill('SIGKILL');
    const { signal } = await under.result;
    if (signal === 'SIGKILL') killed++;
    startOver = signal !== 'SIGKILL';
  }
}
