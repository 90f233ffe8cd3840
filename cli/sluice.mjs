#!/usr/bin/env node
// The `sluice` command. The sources are TypeScript, which Node 20 does not read by itself.
import { bundledCommand } from './bundle.mjs';

// Where nothing can be written or esbuild does not run, tsx translates the sources on the way, which takes longer.
const command = await bundledCommand().catch(async () => {
  const { register } = await import('tsx/esm/api');
  register();
  return new URL('./main.ts', import.meta.url);
});
await import(command.href);
