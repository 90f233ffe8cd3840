import { partPrefix } from '#core/job-layout.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

/** The keys of all parts of a stage. */
export async function partKeys(job: string, stage: string, works: ObjectStore): Promise<Set<string>> {
  const keys = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await works.list({
      prefix: partPrefix(job, stage),
      ...(cursor !== undefined && { cursor }),
    });
    for (const { key } of page.objects) keys.add(key);
    cursor = page.next;
  } while (cursor !== undefined);
  return keys;
}
