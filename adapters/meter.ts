import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { addUsage, isEmpty, type MeteredStage, noUsage, type Usage, type UsageRecord } from '#core/usage.ts';

/** What could not be told so often in a row is told as a sum. */
const MAX_OWED = 500;
/** A record takes so many others along: what travels in a message must stay small. The rest waits for the next one. */
const MAX_TAKEN_ALONG = 8;
/** Records that came with a message and are told: another delivery of it brings them again. */
const MAX_REMEMBERED = 10_000;

const current = new AsyncLocalStorage<Tally>();

/** For whom something was consumed: a job, nobody (`idle`), or, with neither, whoever tells it. */
interface Purpose {
  readonly job?: string | undefined;
  readonly idle?: true | undefined;
}

/** Of what is to be stored by one request: itself, while it has not been sent. */
interface Prepaid {
  readonly kind: string;
  readonly record: UsageRecord;
  count: number;
  units: number;
}

export interface SealOptions {
  readonly waste?: boolean;
  /** Records that came with what this work was given. */
  readonly carried?: readonly UsageRecord[];
  /** Takes along all that is owed, however much that is. */
  readonly all?: boolean;
  /**
   * The request that stores the records, and what it is billed at the least. It is counted in them: who can read them knows that
   * it was sent.
   */
  readonly storedBy?: string | undefined;
  readonly units?: number;
}

/** Of an overhead that is still under way. */
const running = new Set<Tally>();

/** What this process has consumed and no record has told yet. The next one does, whatever job it is of. */
const owed: UsageRecord[] = [];
/** What came to a worker with messages and is told, by id, the oldest first. */
const told = new Set<string>();
/** The same that is not yet out in any record: it can still be added to. */
let open: UsageRecord[] = [];

/**
 * What one piece of work consumes. What is counted while {@link Tally.run} runs belongs to it, in all that it awaits.
 *
 * It ends in one of two ways. Its records were stored with what came of the work: what comes later (the acknowledgement,
 * say) is owed by the process. Or they were not: then all of it is owed, as waste.
 */
export class Tally {
  readonly stage: MeteredStage;
  readonly #parent: Tally | undefined;
  readonly #clock: SharedClock | undefined;
  #usage = noUsage();
  /** Sealed and not known to be stored: what it was given, what it was itself, and what it took along. */
  #carried: UsageRecord[] = [];
  #sealed: UsageRecord[] = [];
  #takenAlong: UsageRecord[] = [];
  #prepaid: Prepaid | undefined;
  #purpose: Purpose;
  #end: 'stored' | 'wasted' | undefined;

  /**
   * @param now for an invocation: its time is shared among the tallies below it.
   * @param purpose left out, that of the work which this is a part of; but a part of what is for nobody may be for a job.
   */
  constructor(stage: MeteredStage, now?: () => number, purpose?: Purpose) {
    this.stage = stage;
    this.#parent = current.getStore();
    this.#purpose = purpose ?? { job: this.#parent?.job };
    this.#clock = now ? new SharedClock(now) : this.#parent === undefined ? undefined : this.#parent.#clock;
    this.#clock?.begin(this, this.#parent);
  }

  get outermost(): Tally {
    return this.#parent === undefined ? this : this.#parent.outermost;
  }

  get job(): string | undefined {
    return this.#purpose.job;
  }

  /** Whose work it is, once that is known. */
  isFor(purpose: Purpose): void {
    this.#purpose = purpose;
  }

  /** The same for all that this is a part of and that serves nobody else yet. */
  allIsFor(job: string): void {
    if (this.#purpose.job === undefined && this.#purpose.idle === undefined) this.#purpose = { job };
    this.#parent?.allIsFor(job);
  }

  run<T>(work: () => T): T {
    return current.run(this, work);
  }

  add(more: Partial<Usage>): void {
    const rest = this.#withoutPrepaid(more);
    if (this.#end === undefined) addUsage(this.#usage, rest);
    else owe(this.stage, this.#end === 'wasted', rest, this.#purpose);
  }

  /** What was counted so far and is in no record. */
  untold(): UsageRecord[] {
    return recordsOf(this.stage, false, structuredClone(this.#usage), this.#purpose);
  }

  /** What was counted since the last call, for a process that does not record itself. */
  take(): Usage {
    const usage = this.#usage;
    this.#usage = noUsage();
    return usage;
  }

  /** The records that are to be stored now: of this work, of what it is part of so far, and what the process owes. */
  seal(options: SealOptions = {}): UsageRecord[] {
    this.#clock?.settle();
    const { waste = false, carried = [], all = false, storedBy, units = 1 } = options;
    if (storedBy !== undefined) {
      this.#prepaid = undefined;
      this.add({ requests: { [storedBy]: { count: 1, retries: 0, units } } });
    }
    const own = recordsOf(this.stage, waste, this.take());
    const [record] = own;
    if (storedBy !== undefined && record !== undefined) {
      this.#prepaid = { kind: storedBy, record, count: 1, units };
    }
    const above: UsageRecord[] = [];
    for (let tally = this.#parent; tally !== undefined; tally = tally.#parent) {
      above.push(...recordsOf(tally.stage, false, tally.take(), tally.#purpose));
    }
    owed.push(...open);
    open = [];
    this.#carried.push(...carried);
    this.#sealed.push(...own);
    this.#takenAlong.push(...above, ...takeOwed(this.job, all ? owed.length : MAX_TAKEN_ALONG));
    return [...this.#carried, ...this.#sealed, ...this.#takenAlong];
  }

  /** The sealed records are stored, and the work goes on. */
  confirm(): void {
    // What a function stores goes on in a message: only with a part is it told.
    if (this.stage === 'worker') for (const { id } of this.#carried) told.add(id);
    for (const id of told) {
      if (told.size <= MAX_REMEMBERED) break;
      told.delete(id);
    }
    this.#forget();
  }

  #forget(): void {
    this.#carried = [];
    this.#sealed = [];
    this.#takenAlong = [];
  }

  /** The sealed records are stored, and the work is done. */
  stored(): void {
    this.#close('stored');
    this.confirm();
  }

  /**
   * The work has come to nothing, or another one has done it. What it took along is told later.
   *
   * @param carried records that came with what this work was given, and go no further.
   */
  wasted(carried: readonly UsageRecord[] = []): void {
    this.#close('wasted');
    this.#refund();
    const brought = [...this.#carried, ...carried].filter(({ id }) => !told.has(id));
    for (const record of [...brought, ...this.#sealed]) {
      const { job, idle } = record;
      owed.push({ ...record, ...purposeOf(idle ? { idle } : { job: job ?? this.job }), waste: true });
    }
    owed.push(...this.#takenAlong);
    this.#forget();
    for (const { stage, waste, usage, job, idle } of owed.splice(MAX_OWED))
      owe(stage, waste, usage, { job, idle });
  }

  #close(end: 'stored' | 'wasted'): void {
    if (this.#end !== undefined) return;
    this.#clock?.end(this);
    this.#end = end;
    owe(this.stage, end === 'wasted', this.take(), this.#purpose);
  }

  #withoutPrepaid(more: Partial<Usage>): Partial<Usage> {
    const prepaid = this.#prepaid;
    const sent = prepaid && more.requests?.[prepaid.kind];
    if (prepaid === undefined || sent === undefined) return more;
    const count = Math.min(sent.count - sent.retries, prepaid.count);
    const units = Math.min(sent.units, prepaid.units);
    prepaid.count -= count;
    prepaid.units -= units;
    const { [prepaid.kind]: _, ...others } = more.requests ?? {};
    const rest = { count: sent.count - count, retries: sent.retries, units: sent.units - units };
    const isPaid = rest.count === 0 && rest.units === 0;
    return { ...more, requests: isPaid ? others : { ...others, [prepaid.kind]: rest } };
  }

  /** What was counted and never sent. */
  #refund(): void {
    const prepaid = this.#prepaid;
    const counted = prepaid?.record.usage.requests[prepaid.kind];
    if (prepaid === undefined || counted === undefined) return;
    counted.count -= prepaid.count;
    counted.units -= prepaid.units;
    if (counted.count === 0) delete prepaid.record.usage.requests[prepaid.kind];
    this.#prepaid = undefined;
  }
}

/**
 * What is owed, up to so many records. A look that `finalize` took at another job waits until that one is complete, which is
 * its process's own matter.
 */
function takeOwed(job: string | undefined, most: number): UsageRecord[] {
  const taken: UsageRecord[] = [];
  const left: UsageRecord[] = [];
  for (const record of owed) {
    const waits = record.stage === 'finalize' && record.job !== undefined && record.job !== job;
    (waits || taken.length >= most ? left : taken).push(record);
  }
  owed.splice(0, owed.length, ...left);
  return taken;
}

/** Each millisecond belongs to what was under way in it, in equal shares; to the invocation, where nothing was. */
class SharedClock {
  readonly #children = new Map<Tally, Tally | undefined>();
  readonly #now: () => number;
  #sinceMs: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#sinceMs = now();
  }

  begin(tally: Tally, parent: Tally | undefined): void {
    this.settle();
    this.#children.set(tally, parent);
  }

  end(tally: Tally): void {
    this.settle();
    this.#children.delete(tally);
  }

  settle(): void {
    const now = this.#now();
    const parents = new Set(this.#children.values());
    const busy = [...this.#children.keys()].filter((tally) => !parents.has(tally));
    for (const tally of busy) tally.add({ ms: { function: (now - this.#sinceMs) / busy.length } });
    this.#sinceMs = now;
  }
}

/** Does a piece of work with a tally of its own. One that is not stored by its end is wasted. */
export async function tallied<T>(stage: MeteredStage, work: (tally: Tally) => Promise<T>): Promise<T> {
  const tally = new Tally(stage);
  try {
    return await tally.run(() => work(tally));
  } finally {
    tally.wasted();
  }
}

/** One invocation of a function: what it spends beside its pieces of work is no waste. */
export async function invocation<T>(
  stage: MeteredStage,
  work: () => Promise<T>,
  now: () => number = () => performance.now(),
  purpose: Purpose = {},
): Promise<T> {
  const tally = new Tally(stage, now, purpose);
  tally.add({ counts: { invocations: 1 } });
  try {
    return await tally.run(work);
  } finally {
    tally.stored();
  }
}

/** What a process does that serves no piece of work alone: opening queues, waiting for messages. */
export async function overhead<T>(
  stage: MeteredStage,
  work: () => Promise<T>,
  purpose?: Purpose,
): Promise<T> {
  const tally = new Tally(stage, undefined, purpose);
  running.add(tally);
  try {
    return await tally.run(work);
  } finally {
    running.delete(tally);
    tally.stored();
  }
}

/** What is under way is for a job, and so is all that it is a part of. */
export function workIsFor(job: string): void {
  current.getStore()?.allIsFor(job);
}

/** What the process has spent beside its pieces of work, and not told yet, was for no job; `more` neither. */
export function spentIdle(stage: MeteredStage, more: Partial<Usage> = {}): void {
  const tally = current.getStore()?.outermost;
  owe(stage, false, { ...tally?.take() }, { idle: true });
  owe(stage, false, more, { idle: true });
}

/** What was spent to be ready for work is for whoever tells it first. */
export function spentStarting(stage: MeteredStage, more: Partial<Usage>): void {
  owe(stage, false, { ...current.getStore()?.outermost.take() }, {});
  owe(stage, false, more, {});
}

/**
 * A function's process is ready for its first invocation: Lambda bills what it took to get there, by the same memory.
 *
 * @param ms since the process began.
 */
export function meterStart(stage: MeteredStage, ms = performance.now()): void {
  owe(stage, false, { ms: { init: ms }, counts: { coldStarts: 1 } }, {});
}

/** What this process has consumed and no record has told, but for what is under way. */
export function untoldUsage(): UsageRecord[] {
  return structuredClone([...owed, ...open, ...[...running].flatMap((tally) => tally.untold())]);
}

/** Adds to the tally of whoever is running. Outside of all tallies nothing is counted. */
export function countUsage(more: Partial<Usage>): void {
  current.getStore()?.add(more);
}

/** Does what serves many pieces of work at once, for the job of the one that runs. */
export function inJobsTally<T>(work: () => Promise<T>): Promise<T> {
  const tally = current.getStore();
  return tally === undefined ? work() : overhead(tally.stage, work, { job: tally.job });
}

/** A function that counts for whoever is running now, not for whoever calls it: a queue's task, an answer's handler. */
export function inCallersTally<A extends unknown[], T>(work: (...args: A) => T): (...args: A) => T {
  const tally = current.getStore();
  return (...args) =>
    tally === undefined ? current.exit(() => work(...args)) : tally.run(() => work(...args));
}

function newUsageId(): string {
  return randomBytes(8).toString('base64url');
}

/** Of a function; elsewhere there is none. */
function memoryMb(stage: MeteredStage): number | undefined {
  const memory = Number(process.env['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']);
  return stage !== 'worker' && memory > 0 ? memory : undefined;
}

function owe(stage: MeteredStage, waste: boolean, usage: Partial<Usage>, purpose: Purpose): void {
  const { job, idle } = purpose;
  const known = open.find(
    (record) =>
      record.stage === stage && record.waste === waste && record.job === job && record.idle === idle,
  );
  if (known !== undefined) addUsage(known.usage, usage);
  else open.push(...recordsOf(stage, waste, { ...noUsage(), ...structuredClone(usage) }, purpose));
}

/** What was done for nothing within a piece of work that goes on. */
export function oweWaste(stage: MeteredStage, usage: Usage): void {
  owe(stage, true, usage, { job: current.getStore()?.job });
}

/** The record of a usage, or none for no usage. */
export function recordsOf(
  stage: MeteredStage,
  waste: boolean,
  usage: Usage,
  purpose: Purpose = {},
): UsageRecord[] {
  if (isEmpty(usage)) return [];
  const mb = memoryMb(stage);
  // Enough digits for a bill, few enough for a message.
  for (const [name, ms] of Object.entries(usage.ms)) usage.ms[name] = Math.round(ms * 1000) / 1000;
  return [
    {
      id: newUsageId(),
      stage,
      ...(mb !== undefined && { memoryMb: mb }),
      waste,
      ...purposeOf(purpose),
      usage,
    },
  ];
}

function purposeOf({ job, idle }: Purpose): { job?: string; idle?: true } {
  return { ...(job !== undefined && { job }), ...(idle && { idle }) };
}
