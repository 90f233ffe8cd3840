import { spawnSync } from 'node:child_process';

const PYTHON = process.env['SLUICE_PYTHON'] ?? 'python3';

export const lacksPillow = spawnSync(PYTHON, ['-c', 'import PIL.Image'], { stdio: 'ignore' }).status !== 0;

/** What to add to the name of a test that is skipped for want of Pillow. */
export const NEEDS_PILLOW = `(needs ${PYTHON} with pillow; set SLUICE_PYTHON)`;

/**
 * Runs a Python program.
 *
 * @returns what it writes to standard output.
 */
export function runPython(program: string, args: readonly string[] = [], input?: Uint8Array): Buffer {
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', program, ...args], {
    maxBuffer: 2 ** 30,
    ...(input === undefined ? {} : { input }),
  });
  if (status !== 0) throw new Error(stderr.toString());
  return stdout;
}
