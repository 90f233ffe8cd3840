import { usageOfPart } from '#adapters/part-file.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import { type Completion, PartsDigest, type TableFile } from '#core/completion.ts';
import { JobFindingsBuilder, type JobFindingsIndex } from '#core/job/job-findings.ts';
import { ShadowTally } from '#core/job/shadow-tally.ts';
import { StageVerdicts } from '#core/job/stage-verdicts.ts';
import { imageMeasures } from '#core/measures.ts';
import type { ExpectedPack, FollowingStage, Plan } from '#core/plan.ts';
import { decide, type Policy, policyHash } from '#core/policy.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { type JobRules, rulesHash } from '#core/stages.ts';
import { JobTally, StageTally, type StageTotals, Summary, stageTotals } from '#core/summary.ts';
import { type UsageRecord, UsageSum } from '#core/usage.ts';
import { renderReport } from '#report/render-report.ts';
import { type ResultLayout, type TextFormat, writeAudit } from './audit-outputs.ts';
import { comparePixels, type PixelPorts } from './compare-pixels.ts';
import { expectedPacks } from './follow-up-packs.ts';
import { followingRecords, jobRecords, type OnPart } from './job-records.ts';
import { ReportCollector } from './report-collector.ts';

export const SUMMARY_FILE = 'summary.json';
const REPORT_FILE = 'report.html';

const THUMBNAIL_SIDE_PX = 240;

export interface FinalizeOptions extends JobRules {
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
  /** Why a pack has no part. */
  reasonOf(expected: ExpectedPack): string;
  /** The records of the job's first stage; left out, what its plan and parts come to. */
  records?(onPart: OnPart): AsyncGenerator<AuditRecord>;
  /** Left out, no pictures are compared: exact duplicates are those that an earlier job has found. */
  readonly pixels?: PixelPorts | undefined;
  /** A small JPEG of an image; `undefined` where there is none to be had. */
  thumbnail(key: string, maxSidePx: number): Promise<Uint8Array | undefined>;
}

/**
 * Compacts a job's parts into its results: the audit table, the summary, the report. Scores are taken from the
 * parts, and everything that is decided from them is decided here once more, now that the whole job is known:
 * duplicates, odd sizes, and the verdicts. So a changed policy needs this step only.
 *
 * Of a cascade, the rows of the images come first, each with the verdict that all stages come to, then those of the other
 * stages in turn.
 *
 * @throws SluiceError `accounting-broken` unless planned = audited + unreadable + failed at every stage, image by image; `aborted`
 *   where pictures are still to be compared and time has run out.
 */
export async function finalizeJob(
  plan: Plan,
  options: FinalizeOptions,
  ports: FinalizePorts,
): Promise<{ summary: Summary; tables: TableFile[]; parts: Completion['parts']; usage: UsageSum }> {
  const { layout } = options;
  const hash = rulesHash(options);
  const failedUnder = (policyHash: string) => ({
    reasonOf: (expected: ExpectedPack) => ports.reasonOf(expected),
    policyHash,
    softwareVersion: options.softwareVersion,
  });
  const failed = failedUnder(hash);
  const following = plan.following ?? [];
  const rowsOf = async function* (stage: FollowingStage, onPart?: OnPart): AsyncGenerator<AuditRecord> {
    const policy = stagePolicy(options, stage.name);
    const own = policyHash(policy);
    for await (const record of followingRecords(plan, stage, ports.works, failedUnder(own), onPart))
      yield record.state === 'audited' ? judgedAtStage(record, policy, own) : record;
  };
  const shadows = new Map(
    [plan.stage, ...following].flatMap(({ name, shadow }) => {
      const policy = options.cascade?.shadows[name];
      return shadow && policy ? [[name, new ShadowTally(name, shadow, policy)] as const] : [];
    }),
  );
  const findings = new JobFindingsBuilder(options.policy);
  const records = (onPart?: OnPart): AsyncGenerator<AuditRecord> =>
    ports.records?.(onPart ?? (() => undefined)) ?? jobRecords(plan, ports.works, failed, onPart);
  for await (const record of records()) findings.add(record);
  const candidates = findings.candidates();
  const pixelHashes = ports.pixels && (await comparePixels(plan.job, candidates, ports.works, ports.pixels));
  const index = findings.finish(pixelHashes);
  const verdicts = new StageVerdicts(options, [plan.stage.name, ...following.map(({ name }) => name)]);
  const plannedAt = new Map<string, number>();
  for (const stage of following) {
    let planned = 0;
    for await (const { refs } of expectedPacks(plan, stage.name, ports.works)) planned += refs;
    plannedAt.set(stage.name, planned);
    for await (const record of rowsOf(stage)) verdicts.add(record);
  }

  const tally = new JobTally(plan, options.policy);
  const collector = new ReportCollector(
    options,
    following.map(({ name }) => name),
  );
  let made = { decoderVersion: '', provider: '' };
  const digest = new PartsDigest();
  const usage = new UsageSum(plan.job);
  const formats = [...new Set(options.formats)];
  const scores = [...new Set([plan.stage, ...following].flatMap((stage) => stage.scores))];
  const trials = [plan.stage, ...following].flatMap(({ shadow }) => (shadow === undefined ? [] : [shadow]));
  const stages: StageTotals[] = [];
  const produce = async (write: (record: AuditRecord) => Promise<void>): Promise<void> => {
    let position = 0;
    const onPart: OnPart = (key, part) => {
      digest.add(key, part);
      if (part !== undefined) usage.addPart(usageIfReadable(part));
    };
    for await (const stored of records(onPart)) {
      const record =
        stored.state === 'audited'
          ? judged(stored, index.of(position++, stored), options, {
              verdicts,
              hash,
              shadow: shadows.get(plan.stage.name),
            })
          : stored;
      tally.add(record);
      collector.add(record);
      if (record.state === 'audited') {
        made = { decoderVersion: record.receipt.decoderVersion, provider: record.receipt.provider };
      }
      await write(record);
    }
    // Nothing becomes visible unless the accounting holds.
    const totals = tally.totals();
    if (following.length > 0) stages.push(stageTotals(plan.stage, totals));
    for (const stage of following) {
      const ofStage = new StageTally(stage);
      for await (const record of rowsOf(stage, onPart)) {
        ofStage.add(record);
        const shadow = record.verdict === null ? undefined : shadows.get(stage.name);
        await write(shadow?.judged(record, record.verdict ?? '', imageMeasures(record, {})) ?? record);
      }
      stages.push(ofStage.totals(plannedAt.get(stage.name) ?? 0));
    }
  };
  const tables = await writeAudit(formats, layout, ports.results, scores, produce, {
    following: following.length > 0,
    ...(trials.length > 0 && { shadowScores: [...new Set(trials.flatMap((shadow) => shadow.scores))] }),
  });
  const totals = tally.totals();

  const summary: Summary = {
    schema: 1,
    job: plan.job,
    source: plan.source,
    model: plan.stage.model,
    modelSha256: plan.stage.modelSha256,
    originalSha256: plan.stage.originalSha256,
    preprocessHash: plan.stage.preprocessHash,
    decodeHash: plan.stage.decodeHash,
    policyHash: hash,
    policy: options.policy,
    softwareVersion: options.softwareVersion,
    ...totals,
    carried: plan.carried?.count ?? 0,
    ...(following.length > 0 && {
      stages: stages.map((of) => {
        const policy = stagePolicy(options, of.stage);
        return { ...of, policyHash: policyHash(policy), policy };
      }),
    }),
    ...(shadows.size > 0 && { shadows: [...shadows.values()].map((shadow) => shadow.totals()) }),
    verdicts: tally.verdicts,
    checks: tally.checks,
    refusals: tally.refusals,
    failedKeys: tally.failedKeys,
    sourceProblems: plan.problems,
    sourceProblemCount: plan.problemCount,
    compared: { candidates: candidates.length, images: pixelHashes?.size ?? 0 },
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
  { findings, measures: ofJob }: ReturnType<JobFindingsIndex['of']>,
  rules: JobRules,
  by: { verdicts: StageVerdicts; hash: string; shadow: ShadowTally | undefined },
): AuditRecord {
  const measures = { ...imageMeasures(record, record.scores), ...ofJob };
  const own = decide(stagePolicy(rules, record.receipt.stage), measures);
  const decision = rules.cascade === undefined ? own : by.verdicts.decide(record.key, own, measures);
  const seen = by.shadow?.judged(record, own.verdict, { ...imageMeasures(record, {}), ...ofJob }) ?? record;
  return { ...seen, ...findings, ...decision, receipt: { ...record.receipt, policyHash: by.hash } };
}

function judgedAtStage(record: AuditRecord, policy: Policy, hash: string): AuditRecord {
  const decision = decide(policy, imageMeasures(record, record.scores));
  return { ...record, ...decision, receipt: { ...record.receipt, policyHash: hash } };
}

/** A stage's own policy: that of the job where it has but one. */
function stagePolicy({ policy, cascade }: JobRules, stage: string): Policy {
  return cascade?.stages[stage] ?? policy;
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
