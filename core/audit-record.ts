import { parseRegion, type Region, regionText } from './image-ref.ts';
import type { ModelReceipt } from './model-receipt.ts';
import type { Verdict } from './policy.ts';
import type { RefusalCode } from './refusal.ts';

/** How an image ended: judged by a model, refused with a code, or lost to a fault that outlived its retries. */
export type ImageState = 'audited' | 'unreadable' | 'failed';

/** How a record was made: with this, any score can be reproduced. */
export interface Receipt extends ModelReceipt {
  readonly job: string;
  readonly stage: string;
  readonly pack: string;
  readonly policyHash: string;
  readonly softwareVersion: string;
  readonly decoderVersion: string;
  readonly provider: string;
}

/** What is known of an image's file and pixels. Everything but key, etag and bytes is null for a refused image. */
export interface ImageFacts {
  readonly key: string;
  readonly etag: string;
  readonly bytes: number;
  /** Of a following stage's row: the piece of the picture that it is about, where it is not the whole. */
  readonly region?: Region | undefined;
  /** Of a following stage's row: the name of the row that it comes from. */
  readonly parent?: string | undefined;
  readonly widthPx: number | null;
  readonly heightPx: number | null;
  readonly format: string | null;
  /** Of the scaled picture and the source's size: see {@link PackItem}. */
  readonly contentHash: string | null;
  readonly perceptualHash: string | null;
  readonly preprocessMs: number | null;
}

/** What only the whole job can tell of an image. */
export interface JobFindings {
  /**
   * SHA-256 of the whole decoded picture, 32 hex digits: of images that may have the same pixels as another one and were
   * compared; null for all others.
   */
  readonly pixelHash: string | null;
  /** The first key (in plan order) of the group of images with the same pixels; null outside any group. */
  readonly exactGroup: string | null;
  /** The same for images that look alike. */
  readonly nearGroup: string | null;
  /** The copy to keep of the image's group; null for that copy itself and outside any group. */
  readonly duplicateOf: string | null;
}

/** The row for one image at one stage. */
export interface AuditRecord extends ImageFacts, JobFindings {
  readonly state: ImageState;
  /** Null only where `state` is `failed`: nobody has judged it. */
  readonly verdict: Verdict | null;
  readonly checks: readonly string[];
  readonly errorCode: RefusalCode | 'dead-letter' | 'engine-failed' | null;
  readonly errorDetail: string | null;
  readonly scores: Readonly<Record<string, number>>;
  /** What the stage's shadow made of it, which decides nothing. Its verdict is known once the job is. */
  readonly shadow?: {
    readonly verdict: Verdict | null;
    readonly scores: Readonly<Record<string, number>>;
    /** Why it made nothing of it; null where it did. */
    readonly error: string | null;
  };
  readonly receipt: Receipt;
}

/** Columns that most jobs have no use for. */
export interface ExtraColumns {
  /** Those that only the rows of following stages fill. */
  readonly following?: boolean;
  /** The scores of shadows; left out where there is no shadow. */
  readonly shadowScores?: readonly string[];
}

export const NO_FINDINGS: JobFindings = {
  pixelHash: null,
  exactGroup: null,
  nearGroup: null,
  duplicateOf: null,
};

type Cell = string | number | boolean | readonly string[] | null;

/** One column of the audit table. */
export interface AuditColumn {
  readonly name: string;
  readonly type: 'string' | 'string-list' | 'int64' | 'int32' | 'float' | 'double';
  readonly nullable: boolean;
  read(record: AuditRecord): Cell;
}

/**
 * The columns of `audit.parquet`, in order; a score `x` of the model is the column `score_x`.
 * A reader may rely on names and types; new columns are added at the end of their group.
 */
export function auditColumns(
  scores: readonly string[],
  { following = false, shadowScores }: ExtraColumns = {},
): AuditColumn[] {
  const shadows = [
    text('shadow_verdict', (r) => r.shadow?.verdict ?? null, true),
    text('shadow_error', (r) => r.shadow?.error ?? null, true),
    ...(shadowScores ?? []).map((score) => number(`shadow_score_${score}`, (r) => r.shadow?.scores[score])),
  ];
  return [
    ...imageColumns(following),
    text('pixel_hash', (r) => r.pixelHash, true),
    text('exact_group', (r) => r.exactGroup, true),
    text('near_group', (r) => r.nearGroup, true),
    text('duplicate_of', (r) => r.duplicateOf, true),
    ...scores.map((score) => number(`score_${score}`, (r) => r.scores[score])),
    ...(shadowScores === undefined ? [] : shadows),
    text('job', (r) => r.receipt.job),
    text('stage', (r) => r.receipt.stage),
    text('pack', (r) => r.receipt.pack),
    text('model', (r) => r.receipt.model),
    text('model_sha256', (r) => r.receipt.modelSha256),
    text('preprocess_hash', (r) => r.receipt.preprocessHash),
    text('original_sha256', (r) => r.receipt.originalSha256),
    text('decode_hash', (r) => r.receipt.decodeHash),
    text('policy_hash', (r) => r.receipt.policyHash),
    text('software_version', (r) => r.receipt.softwareVersion),
    text('decoder_version', (r) => r.receipt.decoderVersion),
    text('provider', (r) => r.receipt.provider),
    PREPROCESS_MS,
  ];
}

/**
 * The columns of a part, which is one worker's word on one pack: its receipt is the same for all rows and lies in the file's
 * metadata, what only the whole job can tell is not known yet, and the scores, of which each image of a classifier keeps
 * a few of a thousand, are one column of JSON. A column costs more to write than the 64 values in it.
 */
export function partColumns({ following, shadows }: { following: boolean; shadows: boolean }): AuditColumn[] {
  return [
    ...imageColumns(following),
    text('scores', (r) => scoresText(r.scores)),
    ...(shadows
      ? [
          text('shadow_error', (r) => r.shadow?.error ?? null, true),
          text('shadow_scores', (r) => (r.shadow === undefined ? null : scoresText(r.shadow.scores)), true),
        ]
      : []),
    PREPROCESS_MS,
  ];
}

function imageColumns(following: boolean): AuditColumn[] {
  const ofFollowing = [
    text('region', (r) => (r.region === undefined ? null : regionText(r.region)), true),
    text('parent_key', (r) => r.parent ?? null, true),
  ];
  return [
    text('key', (r) => r.key),
    ...(following ? ofFollowing : []),
    text('state', (r) => r.state),
    text('verdict', (r) => r.verdict, true),
    { name: 'checks', type: 'string-list', nullable: false, read: (r) => r.checks },
    text('error_code', (r) => r.errorCode, true),
    text('error_detail', (r) => r.errorDetail, true),
    text('etag', (r) => r.etag),
    { name: 'bytes', type: 'int64', nullable: false, read: (r) => r.bytes },
    { name: 'width', type: 'int32', nullable: true, read: (r) => r.widthPx },
    { name: 'height', type: 'int32', nullable: true, read: (r) => r.heightPx },
    text('format', (r) => r.format, true),
    text('content_hash', (r) => r.contentHash, true),
    text('perceptual_hash', (r) => r.perceptualHash, true),
  ];
}

const PREPROCESS_MS: AuditColumn = {
  name: 'preprocess_ms',
  type: 'double',
  nullable: true,
  read: (r) => r.preprocessMs,
};

/** As float32, which they are in the audit table: a policy must decide the same by either. */
function scoresText(scores: Readonly<Record<string, number>>): string {
  return JSON.stringify(scores, (_, value) => (typeof value === 'number' ? Math.fround(value) : value));
}

/** A row of a table, by the names of its columns. */
export type TableRow = Readonly<Record<string, unknown>>;

/** A record from a row of the audit table, as {@link auditColumns} wrote it. */
export function recordFromRow(
  row: TableRow,
  scores: readonly string[],
  shadowScores: readonly string[] = [],
): AuditRecord {
  const required = (name: string): string => row[name] as string;
  const scoresOf = (prefix: string, names: readonly string[]): Record<string, number> =>
    Object.fromEntries(
      names.flatMap((score) => {
        const value = numberOrNull(row, `${prefix}${score}`);
        return value === null ? [] : [[score, value]];
      }),
    );
  const shadow = scoresOf('shadow_score_', shadowScores);
  const shadowError = textOrNull(row, 'shadow_error');
  return {
    ...imageFromRow(row),
    pixelHash: textOrNull(row, 'pixel_hash'),
    exactGroup: textOrNull(row, 'exact_group'),
    nearGroup: textOrNull(row, 'near_group'),
    duplicateOf: textOrNull(row, 'duplicate_of'),
    scores: scoresOf('score_', scores),
    ...((Object.keys(shadow).length > 0 || shadowError !== null) && {
      shadow: {
        verdict: textOrNull(row, 'shadow_verdict') as Verdict | null,
        scores: shadow,
        error: shadowError,
      },
    }),
    receipt: {
      job: required('job'),
      stage: required('stage'),
      pack: required('pack'),
      model: required('model'),
      modelSha256: required('model_sha256'),
      preprocessHash: required('preprocess_hash'),
      originalSha256: textOrNull(row, 'original_sha256') ?? '',
      decodeHash: textOrNull(row, 'decode_hash') ?? '',
      policyHash: required('policy_hash'),
      softwareVersion: required('software_version'),
      decoderVersion: required('decoder_version'),
      provider: required('provider'),
    },
  };
}

/** A record from a row of a part, as {@link partColumns} wrote it. */
export function recordFromPartRow(row: TableRow, receipt: Receipt): AuditRecord {
  const scores = (name: string): Record<string, number> | null => {
    const text = textOrNull(row, name);
    return text === null ? null : JSON.parse(text);
  };
  const shadow = scores('shadow_scores');
  return {
    ...imageFromRow(row),
    ...NO_FINDINGS,
    scores: scores('scores') ?? {},
    ...(shadow !== null && {
      shadow: { verdict: null, scores: shadow, error: textOrNull(row, 'shadow_error') },
    }),
    receipt,
  };
}

function imageFromRow(row: TableRow): Omit<AuditRecord, keyof JobFindings | 'scores' | 'shadow' | 'receipt'> {
  const region = textOrNull(row, 'region');
  const parent = textOrNull(row, 'parent_key');
  return {
    key: row['key'] as string,
    ...(region !== null && { region: parseRegion(region) }),
    ...(parent !== null && { parent }),
    state: row['state'] as ImageState,
    verdict: textOrNull(row, 'verdict') as Verdict | null,
    checks: (row['checks'] as string[] | null) ?? [],
    errorCode: textOrNull(row, 'error_code') as AuditRecord['errorCode'],
    errorDetail: textOrNull(row, 'error_detail'),
    etag: row['etag'] as string,
    bytes: Number(row['bytes']),
    widthPx: numberOrNull(row, 'width'),
    heightPx: numberOrNull(row, 'height'),
    format: textOrNull(row, 'format'),
    contentHash: textOrNull(row, 'content_hash'),
    perceptualHash: textOrNull(row, 'perceptual_hash'),
    preprocessMs: numberOrNull(row, 'preprocess_ms'),
  };
}

function textOrNull(row: TableRow, name: string): string | null {
  return (row[name] as string | null | undefined) ?? null;
}

function numberOrNull(row: TableRow, name: string): number | null {
  const value = row[name];
  return value === null || value === undefined ? null : Number(value);
}

function number(name: string, read: (record: AuditRecord) => number | undefined): AuditColumn {
  return { name, type: 'float', nullable: true, read: (record) => read(record) ?? null };
}

function text(name: string, read: (record: AuditRecord) => string | null, nullable = false): AuditColumn {
  return { name, type: 'string', nullable, read };
}
