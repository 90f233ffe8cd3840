import { z } from 'zod';

const Amount = z.number().min(0);

/** Requests of one kind, each try for itself: `retries` of them were not the first try of their call. */
const RequestUsage = z.strictObject({
  count: z.int().min(0),
  retries: z.int().min(0),
  /** What AWS bills: S3 by the request, SQS by begun 64 KiB, and neither for what it answered with a 5xx on S3. */
  units: z.int().min(0),
});

/** What some work has consumed. All of it adds up. */
export const Usage = z.strictObject({
  /** By service and operation, as the SDK names them: `s3:GetObject`, `sqs:SendMessageBatch`. */
  requests: z.record(z.string(), RequestUsage).default({}),
  bytesIn: Amount.default(0),
  bytesOut: Amount.default(0),
  /**
   * Milliseconds by what they went into. `function`: of an invocation, shared among all it does at a time. `cpu`: of
   * decoding, over all cores. `run`, `commit`, `fetch`, `message`: a worker's time, each moment once (see FeedTimes). `init`,
   * `start`: of a function's process and of a worker's, until it was ready for work. `retried`: from a call's first try that failed to the
   * one that did not; it is within the others.
   */
  ms: z.record(z.string(), Amount).default({}),
  /**
   * `invocations`, `coldStarts`, `starts` (of workers), `messages`, `redelivered` (of those, not for the first time), `packs`,
   * `images`, `refused`, and `slots`: the images that batches had room for.
   */
  counts: z.record(z.string(), Amount).default({}),
});
export type Usage = z.infer<typeof Usage>;

export const METERED_STAGES = ['plan', 'ingest', 'preprocess', 'worker', 'finalize'] as const;
export type MeteredStage = (typeof METERED_STAGES)[number];

/** What one piece of work has consumed, as it travels with the data that came of it. */
export const UsageRecord = z.strictObject({
  /** The same record may come twice, with a message that was delivered twice: it counts once. */
  id: z.string(),
  stage: z.enum(METERED_STAGES),
  /** Of the function; left out for what is not billed by memory. */
  memoryMb: z.number().positive().optional(),
  /** The work came to nothing, or was done by another one as well. */
  waste: z.boolean(),
  /** Which job it was for; left out where that of the data is meant that the record travels with. */
  job: z.string().optional(),
  /** For no job: the pipeline was looked after, or waited for work. */
  idle: z.literal(true).optional(),
  usage: Usage,
});
export type UsageRecord = z.infer<typeof UsageRecord>;

/** The records of one stage added up. `job` stands where it is another one than that whose usage this is a part of. */
export const StageUsage = UsageRecord.omit({ id: true });
export type StageUsage = z.infer<typeof StageUsage>;

/**
 * All records that came with a job added up, and how many of its parts had any. Not all of them are its own: a process tells
 * with its next record what it has not told yet, be that of another job or of none.
 */
export const JobUsage = z.strictObject({
  stages: z.array(StageUsage),
  parts: z.int().min(0),
  /** Parts that say nothing: written by an earlier version. */
  silentParts: z.int().min(0),
});
export type JobUsage = z.infer<typeof JobUsage>;

export function noUsage(): Usage {
  return { requests: {}, bytesIn: 0, bytesOut: 0, ms: {}, counts: {} };
}

export function isEmpty(usage: Usage): boolean {
  const amounts = [usage.bytesIn, usage.bytesOut, ...Object.values(usage.ms), ...Object.values(usage.counts)];
  return Object.keys(usage.requests).length === 0 && amounts.every((amount) => amount === 0);
}

/** Adds `more` to `sum`, in place. */
export function addUsage(sum: Usage, more: Partial<Usage>): void {
  for (const [kind, { count, retries, units }] of Object.entries(more.requests ?? {})) {
    const known = sum.requests[kind] ?? { count: 0, retries: 0, units: 0 };
    sum.requests[kind] = {
      count: known.count + count,
      retries: known.retries + retries,
      units: known.units + units,
    };
  }
  sum.bytesIn += more.bytesIn ?? 0;
  sum.bytesOut += more.bytesOut ?? 0;
  addAmounts(sum.ms, more.ms ?? {});
  addAmounts(sum.counts, more.counts ?? {});
}

function addAmounts(sum: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, amount] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + amount;
}

/** Whether it is the job's own, and not of the idle pipeline or of another job. */
export function isOwn({ idle, job }: StageUsage): boolean {
  return idle === undefined && job === undefined;
}

/**
 * Adds up the records of a job. Each id is taken once: as what it was good for, if any copy of it says so, and as waste
 * only where all say waste.
 */
export class UsageSum {
  readonly #sums = new Map<string, StageUsage>();
  readonly #taken = new Set<string>();
  readonly #wasted = new Map<string, UsageRecord>();
  readonly #job: string;
  #parts = 0;
  #silentParts = 0;

  /** @param stages what has been added up before. */
  constructor(job: string, stages: readonly StageUsage[] = []) {
    this.#job = job;
    for (const stage of stages) this.#take(stage);
  }

  add(records: readonly UsageRecord[]): void {
    for (const record of records) {
      if (this.#taken.has(record.id)) continue;
      if (record.waste) {
        this.#wasted.set(record.id, record);
      } else {
        this.#taken.add(record.id);
        this.#take(record);
      }
    }
  }

  /** The records of one part; `undefined` for a part that has none. */
  addPart(records: readonly UsageRecord[] | undefined): void {
    this.#parts++;
    if (records === undefined) this.#silentParts++;
    else this.add(records);
  }

  finish(): JobUsage {
    for (const record of this.#wasted.values()) {
      if (!this.#taken.has(record.id)) this.#take(record);
      this.#taken.add(record.id);
    }
    this.#wasted.clear();
    return { stages: [...this.#sums.values()], parts: this.#parts, silentParts: this.#silentParts };
  }

  #take({ stage, memoryMb, waste, job, idle, usage }: StageUsage): void {
    const other = job === this.#job ? undefined : job;
    const name = `${stage} ${memoryMb ?? ''} ${waste} ${idle ?? ''} ${other ?? ''}`;
    const sum: StageUsage = this.#sums.get(name) ?? {
      stage,
      ...(memoryMb !== undefined && { memoryMb }),
      waste,
      ...(other !== undefined && { job: other }),
      ...(idle && { idle }),
      usage: noUsage(),
    };
    addUsage(sum.usage, usage);
    this.#sums.set(name, sum);
  }
}
