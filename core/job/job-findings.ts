import type { AuditRecord, JobFindings } from '#core/audit-record.ts';
import { NO_FINDINGS } from '#core/audit-record.ts';
import type { Measures, Policy } from '#core/policy.ts';
import { DisjointSets } from './disjoint-sets.ts';
import { groupNearDuplicates } from './near-duplicates.ts';
import { isOddSize, ordinarySizes, type SizeRange, sizePx } from './odd-size.ts';
import { type Comparable, pixelCandidates } from './pixel-candidates.ts';

/** The few facts of each audited image that the whole-job checks compare. */
interface Entry extends Comparable {
  readonly key: string;
  readonly etag: string;
  readonly bytes: number;
  /** Where an earlier job has compared it. */
  readonly pixelHash: string | null;
}

/** An image that may have the same pixels as another one of the job. */
export interface PixelCandidate extends Pick<Entry, 'key' | 'etag' | 'pixelHash'> {
  /** Among the job's audited records. */
  readonly position: number;
}

/**
 * The checks that only the whole job can decide: odd size, exact duplicates, near duplicates.
 * Add every audited record in plan order, compare the candidates, then ask for each record in the same order.
 *
 * Unreadable images take no part, so files that cannot be decoded are never duplicates of each other.
 */
export class JobFindingsBuilder {
  readonly #policy: Policy;
  readonly #entries: Entry[] = [];
  readonly #sizes: number[] = [];

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  add(record: AuditRecord): void {
    if (record.state !== 'audited' || record.widthPx === null || record.heightPx === null) return;
    this.#entries.push({
      key: record.key,
      etag: record.etag,
      bytes: record.bytes,
      widthPx: record.widthPx,
      heightPx: record.heightPx,
      format: record.format,
      pixelHash: record.pixelHash,
      contentHash: record.contentHash,
      perceptualHash: record.perceptualHash,
    });
    this.#sizes.push(sizePx(record.widthPx, record.heightPx));
  }

  /** The images that are exact duplicates of others, if any are: what is known of all says so much. */
  candidates(): PixelCandidate[] {
    return pixelCandidates(this.#entries).map((position) => {
      const { key, etag, pixelHash } = this.#entries[position] as Entry;
      return { position, key, etag, pixelHash };
    });
  }

  /**
   * @param pixelHashes of candidates' whole pictures, by position. A candidate without one is nobody's exact duplicate: it is not
   *   known to be.
   */
  finish(pixelHashes: ReadonlyMap<number, string> = new Map()): JobFindingsIndex {
    const entries = this.#entries;
    const pixelHashOf = (position: number): string | null =>
      pixelHashes.get(position) ?? (entries[position] as Entry).pixelHash;
    const exact = DisjointSets.ofEqual(entries.map((_, position) => pixelHashOf(position)));
    const near = groupNearDuplicates(
      entries.map((entry) => entry.perceptualHash),
      this.#policy.nearDuplicateMaxBits,
    );
    const findings: JobFindings[] = entries.map((_, position) => {
      const pixelHash = pixelHashOf(position);
      return pixelHash === null ? NO_FINDINGS : { ...NO_FINDINGS, pixelHash };
    });
    const all = new DisjointSets(entries.length);
    for (const sets of [exact, near]) {
      for (const [leader, members] of sets.groups()) for (const member of members) all.join(leader, member);
    }
    const nearGroups = near.groups();
    const exactGroups = exact.groups();
    for (const members of all.groups().values()) {
      const kept = copyToKeep(members, entries);
      for (const member of members) {
        const exactMembers = exactGroups.get(exact.leaderOf(member));
        const nearMembers = nearGroups.get(near.leaderOf(member));
        findings[member] = {
          pixelHash: pixelHashOf(member),
          exactGroup: groupName(exactMembers, entries),
          // A near group that is nothing but one exact group says nothing new.
          nearGroup: nearMembers?.length === exactMembers?.length ? null : groupName(nearMembers, entries),
          duplicateOf: member === kept ? null : (entries[kept] as Entry).key,
        };
      }
    }
    const exactKept = new Set([...exactGroups.values()].map((members) => copyToKeep(members, entries)));
    const range = ordinarySizes(Float64Array.from(this.#sizes), this.#policy.oddSizeIqrs);
    return new JobFindingsIndex(findings, exactKept, range);
  }
}

/** The findings of one job, by position among its audited records. */
export class JobFindingsIndex {
  readonly #findings: readonly JobFindings[];
  readonly #exactKept: ReadonlySet<number>;
  readonly sizes: SizeRange;

  constructor(findings: readonly JobFindings[], exactKept: ReadonlySet<number>, sizes: SizeRange) {
    this.#findings = findings;
    this.#exactKept = exactKept;
    this.sizes = sizes;
  }

  /** The findings and measures of the `position`-th audited record. */
  of(position: number, record: AuditRecord): { findings: JobFindings; measures: Measures } {
    const findings = this.#findings[position] ?? NO_FINDINGS;
    const size = sizePx(record.widthPx ?? 0, record.heightPx ?? 0);
    return {
      findings,
      measures: {
        odd_size: isOddSize(size, this.sizes) ? 1 : 0,
        exact_duplicate: findings.exactGroup !== null && !this.#exactKept.has(position) ? 1 : 0,
        near_duplicate: findings.nearGroup !== null && findings.duplicateOf !== null ? 1 : 0,
      },
    };
  }
}

/** Most pixels, then most bytes, then first in the plan: the copy a person would keep. */
function copyToKeep(members: readonly number[], entries: readonly Entry[]): number {
  return members.reduce((best, member) => {
    const a = entries[best] as Entry;
    const b = entries[member] as Entry;
    const more = pixelsOf(b) - pixelsOf(a);
    return more > 0 || (more === 0 && b.bytes > a.bytes) ? member : best;
  });
}

function pixelsOf({ widthPx, heightPx }: Entry): number {
  return widthPx * heightPx;
}

function groupName(members: readonly number[] | undefined, entries: readonly Entry[]): string | null {
  const leader = members?.[0];
  return leader === undefined ? null : (entries[leader] as Entry).key;
}
