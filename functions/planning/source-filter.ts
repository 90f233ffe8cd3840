import picomatch from 'picomatch';
import type { SourceFilter } from '#core/job-request.ts';

/** What a listing says of one object. */
export interface ListedObject {
  readonly key: string;
  /** Left out where the listing does not tell. */
  readonly bytes?: number | undefined;
  readonly modifiedAt?: Date | undefined;
}

/** Whether an object of a source is audited. What a listing does not tell (size, date) does not keep an object out. */
export function sourceFilter(filter: SourceFilter): (object: ListedObject) => boolean {
  const options = { dot: true, nocase: true };
  const include = filter.include.length > 0 ? picomatch(filter.include, options) : () => true;
  const exclude = filter.exclude.length > 0 ? picomatch(filter.exclude, options) : () => false;
  const suffixes = filter.suffixes.map((suffix) => suffix.toLowerCase());
  const after = filter.modifiedAfter === undefined ? undefined : Date.parse(filter.modifiedAfter);
  const before = filter.modifiedBefore === undefined ? undefined : Date.parse(filter.modifiedBefore);
  return ({ key, bytes, modifiedAt }) => {
    // Empty objects that consoles make to show a folder.
    if (key.endsWith('/')) return false;
    if (bytes !== undefined && (bytes < (filter.minBytes ?? 0) || bytes > (filter.maxBytes ?? Infinity))) {
      return false;
    }
    const at = modifiedAt?.getTime();
    if (at !== undefined && ((after !== undefined && at < after) || (before !== undefined && at >= before))) {
      return false;
    }
    const lower = key.toLowerCase();
    if (suffixes.length > 0 && !suffixes.some((suffix) => lower.endsWith(suffix))) return false;
    return include(key) && !exclude(key);
  };
}
