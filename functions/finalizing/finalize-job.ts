import { usageOfPart } from '#adapters/parquet-audit.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { type Completion, PartsDigest, type TableFile } from '#core/completion.ts';
import { JobFindingsBuilder, type JobFindingsIndex } from '#core/job/job-findings.ts';
import type { RangeId } from '#core/job-layout.ts';
import { imageMeasures } from '#core/measures.ts';
import type { Plan } from '#core/plan.ts';
import { decide, type Policy, policyHash } from '#core/policy.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { JobTally, Summary } from '#core/summary.ts';
import { type UsageRecord, UsageSum } from '#core/usage.ts';
import { renderReport } from '#report/render-report.ts';
import { type ResultLayout, type TextFormat, writeAudit } from './audit-outputs.ts';
import { jobRecords, type OnPart } from './job-records.ts';
import { ReportCollector } from './report-collector.ts';

export const SUMMARY_FILE = 'summary.json';
const REPORT_FILE = 'report.html';

const THUMBNAIL_SIDE_PX = 240;

export interface FinalizeOptions {
  readonly policy: Policy;
  readonly softwareVersion: string;
  /** Parquet is always written; these come on top. */
  readonly formats: readonly TextFormat[];
  readonly layout: ResultLayout;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  /** Of this run: the wall-clock time, and how many images it took through the pipeline. */
  readonly seconds: number;
  readonly imagesThisRun: number;
  readonly decoding?: Summary['decoding'];
}

export interface FinalizePorts {
  readonly works: ObjectStore;
  readonly results: ObjectStore;
  /** Why a range has no part. */
  reasonOf(range: RangeId): string;
  /** The records of the job; left out, what its plan and parts come to. */
  records?(onPart: OnPart): AsyncGenerator<AuditRecord>;
  /** A small JPEG of an image; `undefined` where there is none to be had. */
  thumbnail(key: string, maxSidePx: number): Promise<Uint8Array | undefined>;
}

/**
 * Compacts a job's parts into its results: the audit table, the summary, the report. Scores are taken from the
 * parts, and everything that is decided from them is decided here once more, now that the whole job is known:
 * duplicates, odd sizes, and the verdicts. So a changed policy needs this step only.
 *
 * @throws SluiceError `accounting-broken` unless planned = audited + unreadable + failed, image by image.
 */
export async function finalizeJob(
  plan: Plan,
  options: FinalizeOptions,
  ports: FinalizePorts,
): Promise<{ summary: Summary; tables: TableFile[]; parts: Completion['parts']; usage: UsageSum }> {
  const { layout } = options;
  const hash = policyHash(options.policy);
  const failed = {
    reasonOf: (range: RangeId) => ports.reasonOf(range),
    policyHash: hash,
    softwareVersion: options.softwareVersion,
  };
  const findings = new JobFindingsBuilder(options.policy);
  const records = (onPart?: OnPart): AsyncGenerator<AuditRecord> =>
    ports.records?.(onPart ?? (() => undefined)) ?? jobRecords(plan, ports.works, failed, onPart);
  for await (const record of records()) findings.add(record);
  const index = findings.finish();

  const tally = new JobTally(plan, options.policy);
  const collector = new ReportCollector(options.policy);
  let made = { decoderVersion: '', provider: '' };
  const digest = new PartsDigest();
  const usage = new UsageSum();
  const formats = [...new Set(options.formats)];
  const tables = await writeAudit(formats, layout, ports.results, plan.stage.scores, async (write) => {
    let position = 0;
    const onPart: OnPart = (key, part) => {
      digest.add(key, part);
      if (part !== undefined) usage.addPart(usageIfReadable(part));
    };
    for await (const stored of records(onPart)) {
      const record =
        stored.state === 'audited' ? judged(stored, index, position++, options.policy, hash) : stored;
      tally.add(record);
      collector.add(record);
      if (record.state === 'audited') {
        made = { decoderVersion: record.receipt.decoderVersion, provider: record.receipt.provider };
      }
      await write(record);
    }
    // Nothing becomes visible unless the accounting holds.
    tally.totals();
  });
  const totals = tally.totals();

  const summary: Summary = {
    schema: 1,
    job: plan.job,
    source: plan.source,
    model: plan.stage.model,
    modelSha256: plan.stage.modelSha256,
    preprocessHash: plan.stage.preprocessHash,
    policyHash: hash,
    policy: options.policy,
    softwareVersion: options.softwareVersion,
    ...totals,
    carried: plan.carried?.count ?? 0,
    verdicts: tally.verdicts,
    checks: tally.checks,
    refusals: tally.refusals,
    failedKeys: tally.failedKeys,
    sourceProblems: plan.problems,
    sourceProblemCount: plan.problemCount,
    ordinarySizesPx: totals.audited > 0 ? [index.sizes.lowPx, index.sizes.highPx] : null,
    startedAt: options.startedAt.toISOString(),
    finishedAt: options.finishedAt.toISOString(),
    seconds: options.seconds,
    imagesPerSecond: options.seconds > 0 ? options.imagesThisRun / options.seconds : 0,
    ...(options.decoding && { decoding: options.decoding }),
    outputs: {
      audit: layout.tablePlace,
      ...Object.fromEntries(formats.map((format) => [format, layout.file(`audit.${format}`)])),
      summary: layout.file(SUMMARY_FILE),
      report: layout.file(REPORT_FILE),
    },
  };
  const thumbnails = await thumbnailsOf(collector.thumbnailKeys(), ports);
  await ports.results.put(
    layout.file(REPORT_FILE),
    Buffer.from(renderReport(collector.data(summary, made, thumbnails))),
  );
  // The summary comes last: where it stands, the results are complete.
  const json = `${JSON.stringify(Summary.parse(summary), null, 2)}\n`;
  await ports.results.put(layout.file(SUMMARY_FILE), Buffer.from(json));
  return { summary, tables, parts: digest.finish(), usage };
}

/** That a part does not tell what it took is no reason to fail the job. */
function usageIfReadable(part: Uint8Array): UsageRecord[] | undefined {
  try {
    return usageOfPart(part);
  } catch {
    return undefined;
  }
}

function judged(
  record: AuditRecord,
  index: JobFindingsIndex,
  position: number,
  policy: Policy,
  hash: string,
): AuditRecord {
  const { findings, measures } = index.of(position, record);
  const decision = decide(policy, { ...imageMeasures(record, record.scores), ...measures });
  return { ...record, ...findings, ...decision, receipt: { ...record.receipt, policyHash: hash } };
}

async function thumbnailsOf(keys: readonly string[], ports: FinalizePorts): Promise<Map<string, Uint8Array>> {
  const thumbnails = new Map<string, Uint8Array>();
  await Promise.all(
    keys.map(async (key) => {
      const jpeg = await ports.thumbnail(key, THUMBNAIL_SIDE_PX);
      if (jpeg !== undefined) thumbnails.set(key, jpeg);
    }),
  );
  return thumbnails;
}
