import type { Verdict } from '#core/policy.ts';
import type { RefusalCode } from '#core/refusal.ts';

/**
 * All that the audit report shows. Lists are already capped by whoever builds this; the `more…`
 * numbers say how many entries were left out. Strings may hold anything a file name may hold.
 */
export interface ReportData {
  readonly job: ReportJob;
  readonly totals: ReportTotals;
  /** The stages of a cascade, or none. */
  readonly stages?: readonly ReportStage[];
  /** Models that saw what a stage saw and decided nothing, or none. */
  readonly shadows?: readonly ReportShadow[];
  readonly checks: readonly ReportCheck[];
  readonly flagged: readonly FlaggedSection[];
  readonly duplicates: {
    readonly groups: readonly DuplicateGroup[];
    readonly moreGroups: number;
  };
  readonly unreadable: readonly UnreadableGroup[];
  /** Images that ended in a dead-letter queue. */
  readonly failed: { readonly keys: readonly string[]; readonly moreKeys: number };
  /** Result files, relative to the report, with "/" between folders. */
  readonly outputs: { readonly audit: string; readonly summary: string };
}

/** The run: what was audited, by what, and how long it took. */
export interface ReportJob {
  readonly id: string;
  /** What was audited, in words fit for the page: a folder's name or a bucket, never an absolute local path. */
  readonly source: string;
  readonly model: string;
  readonly modelSha256: string;
  readonly preprocessHash: string;
  readonly decodeHash: string;
  readonly policyHash: string;
  readonly softwareVersion: string;
  readonly decoderVersion: string;
  readonly provider: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** ISO 8601. */
  readonly finishedAt: string;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/** How a stage's shadow differs from its model. Lists are capped. */
export interface ReportShadow {
  readonly stage: string;
  readonly model: string;
  readonly compared: number;
  readonly agreed: number;
  /** Rows of which the shadow made nothing, and the first reason. */
  readonly failed: number;
  readonly failure: string | null;
  readonly flips: Readonly<Record<string, number>>;
  readonly flipped: readonly { readonly row: string; readonly verdict: string; readonly shadow: string }[];
}

/** What one stage of a cascade saw: planned = audited + unreadable + failed. */
export interface ReportStage {
  readonly stage: string;
  readonly model: string;
  readonly planned: number;
  readonly audited: number;
  readonly unreadable: number;
  readonly failed: number;
}

/** planned = audited + unreadable + failed. */
export interface ReportTotals {
  readonly planned: number;
  readonly audited: number;
  readonly unreadable: number;
  readonly failed: number;
  readonly verdicts: Readonly<Record<Verdict, number>>;
}

/** One check of the policy and how many images it flagged. */
export interface ReportCheck {
  readonly check: string;
  readonly count: number;
  /** What a flag of this check alone makes of an image. */
  readonly verdict: Verdict;
  /** When it flags, for people: "dark below 0.32". */
  readonly rule: string;
  /** The thresholds of the rule, to show a measure beside the one that it crossed. */
  readonly bounds: readonly ReportBound[];
}

/** One side of a rule: a measure and where it flags. */
export interface ReportBound {
  readonly measure: string;
  readonly below?: number | undefined;
  readonly above?: number | undefined;
}

/** The images that one check flagged. */
export interface FlaggedSection {
  readonly check: string;
  readonly items: readonly FlaggedImage[];
  readonly moreItems: number;
}

/** One flagged image. */
export interface FlaggedImage {
  readonly key: string;
  readonly verdict: Verdict;
  /** Every check that flagged it. */
  readonly checks: readonly string[];
  readonly widthPx: number;
  readonly heightPx: number;
  readonly format: string;
  readonly bytes: number;
  readonly measures: Readonly<Record<string, number>>;
  /** A small JPEG file. */
  readonly thumbnail?: Uint8Array | undefined;
  readonly duplicateOf?: string | undefined;
}

/** Images that are one picture. */
export interface DuplicateGroup {
  readonly kind: 'exact' | 'near';
  readonly keptKey: string;
  /** All images of the group that are shown, the kept one among them. */
  readonly members: readonly {
    readonly key: string;
    /** A small JPEG file. */
    readonly thumbnail?: Uint8Array | undefined;
  }[];
  readonly moreMembers: number;
}

/** The images refused with one code. */
export interface UnreadableGroup {
  readonly code: RefusalCode;
  readonly count: number;
  readonly examples: readonly { readonly key: string; readonly detail: string }[];
  readonly moreExamples: number;
}
