import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { writePhotos } from '#test/support/photo-folder.ts';
import { query } from '#test/support/query.ts';
import { lastLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const KILLS = 10;

/** All columns but the one that is a time. */
const rowsOf = (file: string) => query(`SELECT * EXCLUDE (preprocess_ms) FROM '${file}'`);

describe('a job that is interrupted', () => {
  it(`and killed ${KILLS} times at random moments ends with the rows of an undisturbed run, in the same order`, async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await writePhotos(photos, 400);
    const undisturbed = await sluice('run', photos, '--out', join(folder.path, 'calm'), '--json', '--quiet')
      .result;
    const calm = lastLine(undisturbed);

    const out = join(folder.path, 'stormy');
    let killed = 0;
    let startOver = true;
    while (killed < KILLS) {
      // From before the plan is written until about the end of the job, whatever the machine's speed.
      const run = sluice('run', photos, '--out', out, '--quiet', ...(startOver ? ['--force'] : []));
      await Promise.race([run.result, sleep(200 + Math.random() * calm.seconds * 1000)]);
      run.process.kill('SIGKILL');
      const { signal } = await run.result;
      if (signal === 'SIGKILL') killed++;
      // A run that came to its end left nothing to interrupt.
      startOver = signal !== 'SIGKILL';
    }
    const resumed = lastLine(await sluice('run', photos, '--out', out, '--json', '--quiet').result);
    expect([resumed.planned, resumed.audited, resumed.unreadable, resumed.failed]).toEqual([400, 360, 40, 0]);
    expect(await rowsOf(resumed.outputs.audit)).toEqual(await rowsOf(calm.outputs.audit));
  }, 600_000);

  it('by Ctrl-C says how to go on, exits with 130, and goes on', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await writePhotos(photos, 300);
    const out = join(folder.path, 'out');
    const run = sluice('run', photos, '--out', out, '--pack-size', '4');
    await new Promise<void>((resolve) => run.process.stderr?.once('data', () => resolve()));
    run.process.kill('SIGINT');
    const stopped = await run.result;
    expect(stopped.exitCode).toBe(130);
    expect(stopped.stderr).toMatch(/run the same command again/);
    const resumed = await sluice('run', photos, '--out', out, '--pack-size', '4', '--json').result;
    expect(resumed.exitCode).toBe(0);
    expect(lastLine(resumed)).toMatchObject({ planned: 300, failed: 0 });
  });

  it('is refused under other settings, and thrown away with --force', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await writePhotos(photos, 12);
    const out = join(folder.path, 'out');
    await sluice('run', photos, '--out', out, '--quiet').result;
    const other = await sluice('run', photos, '--out', out, '--include', '*1.jpg').result;
    expect(other.exitCode).toBe(2);
    expect(other.stderr).toMatch(/holds another job.*--force/s);
    const forced = await sluice('run', photos, '--out', out, '--include', '*1.jpg', '--force', '--json')
      .result;
    expect(lastLine(forced).planned).toBe(2);
  });
});
