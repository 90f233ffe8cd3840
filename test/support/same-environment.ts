import { afterAll } from 'vitest';

// Files run one after the other in one process: what one of them sets in the environment is gone before the next.
const before = { ...process.env };

afterAll(() => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
});
