import type { AuditRecord } from '#core/audit-record.ts';
import { imageMeasures } from '#core/measures.ts';
import { measuresOf } from '#core/policy.ts';
import { REFUSAL_CODES, type RefusalCode } from '#core/refusal.ts';
import type { JobRules } from '#core/stages.ts';
import type { Summary } from '#core/summary.ts';
import { reportChecks } from '#report/describe-rule.ts';
import type { FlaggedImage, ReportCheck, ReportData } from '#report/report-data.ts';

/** What the report shows of each kind; the audit table has the rest. */
const MAX_IMAGES_PER_CHECK = 24;
const MAX_GROUPS = 24;
const MAX_MEMBERS_PER_GROUP = 6;
const MAX_EXAMPLES_PER_CODE = 20;
const MAX_FAILED_KEYS = 50;
/** Checks that are shown as groups, side by side, and not image by image. */
const GROUPED_CHECKS: readonly string[] = ['exact_duplicate', 'near_duplicate'];

interface Capped<T> {
  readonly shown: T[];
  total: number;
}

interface Group {
  readonly kind: 'exact' | 'near';
  readonly keys: string[];
  keptKey: string;
  total: number;
}

/** Picks what the report shows while the records go by, holding no more than that. */
export class ReportCollector {
  readonly #rules: JobRules;
  readonly #following: readonly string[];
  readonly #measures: readonly string[];
  readonly #flagged = new Map<string, Capped<AuditRecord>>();
  readonly #groups = new Map<string, Group>();
  readonly #unreadable = new Map<string, Capped<{ key: string; detail: string }>>();
  readonly #failed: Capped<string> = { shown: [], total: 0 };

  /** @param following the stages of a cascade that follow on the first one, by name. */
  constructor(rules: JobRules, following: readonly string[] = []) {
    this.#rules = rules;
    this.#following = following;
    this.#measures = measuresOf(rules.policy);
  }

  add(record: AuditRecord): void {
    if (record.state === 'failed') addTo(this.#failed, record.key, MAX_FAILED_KEYS);
    if (record.state === 'unreadable') {
      const examples = entryOf(this.#unreadable, record.errorCode ?? 'corrupt', newCapped);
      addTo(examples, { key: record.key, detail: record.errorDetail ?? '' }, MAX_EXAMPLES_PER_CODE);
    }
    for (const check of record.checks) {
      if (GROUPED_CHECKS.includes(check)) continue;
      addTo(entryOf(this.#flagged, check, newCapped), record, MAX_IMAGES_PER_CHECK);
    }
    this.#addToGroup('exact', record.exactGroup, record);
    this.#addToGroup('near', record.nearGroup, record);
  }

  /** The keys whose thumbnails the report shows. */
  thumbnailKeys(): string[] {
    const flagged = [...this.#flagged.values()].flatMap(({ shown }) => shown.map((record) => record.key));
    const grouped = this.#shownGroups().flatMap((group) => group.keys);
    return [...new Set([...flagged, ...grouped])];
  }

  data(
    summary: Summary,
    run: { decoderVersion: string; provider: string },
    thumbnails: ReadonlyMap<string, Uint8Array>,
  ): ReportData {
    const checks = this.#checks(summary);
    return {
      job: {
        id: summary.job,
        source: summary.source,
        model: summary.model,
        modelSha256: summary.modelSha256,
        preprocessHash: summary.preprocessHash,
        decodeHash: summary.decodeHash,
        policyHash: summary.policyHash,
        softwareVersion: summary.softwareVersion,
        ...run,
        startedAt: summary.startedAt,
        finishedAt: summary.finishedAt,
        seconds: summary.seconds,
        imagesPerSecond: summary.imagesPerSecond,
      },
      totals: {
        planned: summary.planned,
        audited: summary.audited,
        unreadable: summary.unreadable,
        failed: summary.failed,
        verdicts: summary.verdicts,
      },
      stages: summary.stages ?? [],
      shadows: summary.shadows ?? [],
      checks,
      flagged: checks.flatMap(({ check }) => {
        const found = this.#flagged.get(check);
        if (found === undefined) return [];
        const items = found.shown.map((record) => this.#flaggedImage(record, thumbnails));
        return [{ check, items, moreItems: found.total - items.length }];
      }),
      duplicates: {
        groups: this.#shownGroups().map(({ kind, keptKey, keys, total }) => ({
          kind,
          keptKey,
          members: keys.map((key) => ({ key, thumbnail: thumbnails.get(key) })),
          moreMembers: total - keys.length,
        })),
        moreGroups: Math.max(0, this.#groups.size - MAX_GROUPS),
      },
      unreadable: REFUSAL_CODES.flatMap((code: RefusalCode) => {
        const found = this.#unreadable.get(code);
        if (found === undefined) return [];
        return [
          { code, count: found.total, examples: found.shown, moreExamples: found.total - found.shown.length },
        ];
      }),
      failed: { keys: this.#failed.shown, moreKeys: this.#failed.total - this.#failed.shown.length },
      outputs: { audit: summary.outputs['audit'] ?? '', summary: summary.outputs['summary'] ?? '' },
    };
  }

  /** The checks of all stages, those of the following ones as `<stage>.<check>`. */
  #checks({ checks: counts }: Summary): ReportCheck[] {
    const { policy, cascade } = this.#rules;
    const own = reportChecks(policy, counts);
    const following = this.#following.flatMap((stage) => {
      const named = (check: string): string => `${stage}.${check}`;
      const count = (check: string): number => counts[named(check)] ?? 0;
      const ofStage = cascade?.verdict === 'rules' ? undefined : cascade?.stages[stage];
      const checks = ofStage === undefined ? [] : reportChecks(ofStage, {});
      const unjudged: ReportCheck = {
        check: 'unjudged',
        count: 0,
        verdict: 'review',
        rule: 'a piece of it could not be judged',
        bounds: [],
      };
      return [...checks, ...(count('unjudged') > 0 ? [unjudged] : [])].map((check) => ({
        ...check,
        check: named(check.check),
        count: count(check.check),
      }));
    });
    return [...own, ...following];
  }

  #addToGroup(kind: 'exact' | 'near', name: string | null, record: AuditRecord): void {
    if (name === null) return;
    const group = entryOf(
      this.#groups,
      `${kind} ${name}`,
      (): Group => ({ kind, keys: [], keptKey: name, total: 0 }),
    );
    group.total++;
    if (record.duplicateOf === null) group.keptKey = record.key;
    if (group.keys.length < MAX_MEMBERS_PER_GROUP) group.keys.push(record.key);
  }

  #shownGroups(): Group[] {
    return [...this.#groups.values()].slice(0, MAX_GROUPS);
  }

  #flaggedImage(record: AuditRecord, thumbnails: ReadonlyMap<string, Uint8Array>): FlaggedImage {
    const known = imageMeasures(record, record.scores);
    const measures = this.#measures.flatMap((name) =>
      known[name] === undefined ? [] : [[name, known[name]] as const],
    );
    return {
      key: record.key,
      verdict: record.verdict ?? 'pass',
      checks: record.checks,
      widthPx: record.widthPx ?? 0,
      heightPx: record.heightPx ?? 0,
      format: record.format ?? '',
      bytes: record.bytes,
      measures: Object.fromEntries(measures),
      thumbnail: thumbnails.get(record.key),
      duplicateOf: record.duplicateOf ?? undefined,
    };
  }
}

function newCapped<T>(): Capped<T> {
  return { shown: [], total: 0 };
}

function addTo<T>(list: Capped<T>, item: T, max: number): void {
  list.total++;
  if (list.shown.length < max) list.shown.push(item);
}

function entryOf<T>(map: Map<string, T>, key: string, create: () => T): T {
  const found = map.get(key);
  if (found !== undefined) return found;
  const created = create();
  map.set(key, created);
  return created;
}
