import { SluiceError } from '#core/error.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

const DAY_MS = 24 * 3600 * 1000;
/** Reports come daily or weekly: one that has not come for so long comes no more. */
const NEWEST_WITHIN_DAYS = 31;
const REPORT = /^(\d{4}-\d{2}-\d{2}T\d{2}-\d{2}Z)\/manifest\.(json|checksum)$/;

/**
 * The key of the manifest.json of the last whole report of an S3 Inventory configuration. Its folder holds one folder for each
 * report, named after its time, beside those of the data. The checksum is written last.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
 *
 * @param folder `<destination prefix>/<bucket>/<configuration>/`.
 * @throws SluiceError `source-invalid` where no report has come for a month.
 */
export async function latestInventory(
  reports: ObjectStore,
  folder: string,
  { nowMs = Date.now(), signal }: { nowMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const since = new Date(nowMs - NEWEST_WITHIN_DAYS * DAY_MS).toISOString().slice(0, 10);
  const files = new Map<string, Set<string>>();
  let cursor: string | undefined = folder + since;
  while (cursor !== undefined) {
    const page = await reports.list({ prefix: folder, cursor, ...(signal && { signal }) });
    for (const { key } of page.objects) {
      const [, time = '', ending = ''] = REPORT.exec(key.slice(folder.length)) ?? [];
      if (time !== '') files.set(time, (files.get(time) ?? new Set()).add(ending));
    }
    // Data and symlinks lie behind the reports, whose names begin with a digit.
    const isBehind = page.next === undefined || page.next.slice(folder.length) > ':';
    cursor = isBehind ? undefined : page.next;
  }
  const [latest] = [...files]
    .filter(([, endings]) => endings.size === 2)
    .map(([time]) => time)
    .sort()
    .reverse();
  if (latest !== undefined) return `${folder}${latest}/manifest.json`;
  throw new SluiceError(
    'source-invalid',
    `expected a report of an S3 Inventory below "${folder}", such as ${folder}${since}T01-00Z/manifest.json, none has come for ${NEWEST_WITHIN_DAYS} days: name the folder <prefix>/<bucket>/<configuration>/, or wait for the first report`,
  );
}
