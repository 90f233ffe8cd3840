import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * A folder of the test material that is not part of the project (real and hostile images, models): beside the
 * checkout as `../shared`, or wherever SLUICE_SHARED_DIR says. `undefined` where it is absent; tests that need it
 * are skipped then, and say so in their name.
 */
export function sharedFolder(...names: string[]): string | undefined {
  const root = process.env['SLUICE_SHARED_DIR'] ?? fileURLToPath(new URL('../../../shared', import.meta.url));
  const folder = join(root, ...names);
  return existsSync(folder) ? folder : undefined;
}

/** What to add to the name of a test that is skipped for want of the shared folder. */
export const NEEDS_SHARED = '(needs ../shared, or SLUICE_SHARED_DIR)';
