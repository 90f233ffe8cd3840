import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { Placement } from './onnx-engine.ts';

/** Opens a session with ONNX Runtime's profile on, runs it once, and reads from the profile what ran where. */
export async function profiled(
  open: (options: InferenceSession.SessionOptions) => Promise<InferenceSession>,
  run: (session: InferenceSession) => Promise<unknown>,
): Promise<{ session: InferenceSession; placement: Placement }> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-profile-'));
  try {
    const session = await open({ enableProfiling: true, profileFilePrefix: join(folder, 'session') });
    await run(session);
    session.endProfiling();
    const [file] = await readdir(folder);
    return { session, placement: placementOf(await readFile(join(folder, file as string), 'utf8')) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The nodes that ran, by execution provider, from a profile in the format of Chrome's trace events. */
function placementOf(profile: string): Placement {
  const events = JSON.parse(profile) as { cat?: string; name: string; args?: { provider?: string } }[];
  const nodes = new Map<string, Set<string>>();
  for (const { cat, name, args } of events) {
    if (cat !== 'Node' || args?.provider === undefined) continue;
    nodes.set(args.provider, (nodes.get(args.provider) ?? new Set()).add(name));
  }
  return Object.fromEntries([...nodes].map(([provider, names]) => [provider, names.size]));
}
