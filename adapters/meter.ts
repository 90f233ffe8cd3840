import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { addUsage, isEmpty, type MeteredStage, noUsage, type Usage, type UsageRecord } from '#core/usage.ts';

/** What could not be told so often in a row is told as a sum. */
const MAX_OWED = 500;
/** A record takes so many others along: what travels in a message must stay small. The rest waits for the next one. */
const MAX_TAKEN_ALONG = 8;

const current = new AsyncLocalStorage<Tally>();

/** What this process has consumed and no record has told yet. The next one does, whatever job it is of. */
const owed: UsageRecord[] = [];
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
  /** Sealed and not known to be stored: what this work was for, and what it took along. */
  #sealed: UsageRecord[] = [];
  #takenAlong: UsageRecord[] = [];
  #end: 'stored' | 'wasted' | undefined;

  /** @param now for an invocation: its time is shared among the tallies below it. */
  constructor(stage: MeteredStage, now?: () => number) {
    this.stage = stage;
    this.#parent = current.getStore();
    this.#clock = now ? new SharedClock(now) : this.#parent === undefined ? undefined : this.#parent.#clock;
    this.#clock?.begin(this, this.#parent);
  }

  get outermost(): Tally {
    return this.#parent === undefined ? this : this.#parent.outermost;
  }

  run<T>(work: () => T): T {
    return current.run(this, work);
  }

  add(more: Partial<Usage>): void {
    if (this.#end === undefined) addUsage(this.#usage, more);
    else owe(this.stage, this.#end === 'wasted', more);
  }

  /** What was counted since the last call, for a process that does not record itself. */
  take(): Usage {
    const usage = this.#usage;
    this.#usage = noUsage();
    return usage;
  }

  /**
   * The records that are to be stored now: of this work, of what it is part of so far, and what the process owes.
   *
   * @param options.carried records that came with what this work was given.
   * @param options.all takes along all that is owed, however much that is.
   */
  seal(options: { waste?: boolean; carried?: readonly UsageRecord[]; all?: boolean } = {}): UsageRecord[] {
    this.#clock?.settle();
    const { waste = false, carried = [], all = false } = options;
    const own = recordsOf(this.stage, waste, this.take());
    const above: UsageRecord[] = [];
    for (let tally = this.#parent; tally !== undefined; tally = tally.#parent) {
      above.push(...recordsOf(tally.stage, false, tally.take()));
    }
    owed.push(...open);
    open = [];
    this.#sealed.push(...carried, ...own);
    this.#takenAlong.push(...above, ...owed.splice(0, all ? owed.length : MAX_TAKEN_ALONG));
    return [...this.#sealed, ...this.#takenAlong];
  }

  /** The sealed records are stored, and the work goes on. */
  confirm(): void {
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
    for (const record of [...this.#sealed, ...carried]) owed.push({ ...record, waste: true });
    owed.push(...this.#takenAlong);
    this.confirm();
    for (const { stage, waste, usage } of owed.splice(MAX_OWED)) owe(stage, waste, usage);
  }

  #close(end: 'stored' | 'wasted'): void {
    if (this.#end !== undefined) return;
    this.#clock?.end(this);
    this.#end = end;
    owe(this.stage, end === 'wasted', this.take());
  }
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
): Promise<T> {
  const tally = new Tally(stage, now);
  tally.add({ counts: { invocations: 1 } });
  try {
    return await tally.run(work);
  } finally {
    tally.stored();
  }
}

/** What a process does that serves no piece of work alone: opening queues, waiting for messages. */
export async function overhead<T>(stage: MeteredStage, work: () => Promise<T>): Promise<T> {
  const tally = new Tally(stage);
  try {
    return await tally.run(work);
  } finally {
    tally.stored();
  }
}

/** Adds to the tally of whoever is running. Outside of all tallies nothing is counted. */
export function countUsage(more: Partial<Usage>): void {
  current.getStore()?.add(more);
}

/** Does what serves many pieces of work at once for what they are all part of. */
export function inOuterTally<T>(work: () => T): T {
  const tally = current.getStore();
  return tally === undefined ? work() : tally.outermost.run(work);
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

function owe(stage: MeteredStage, waste: boolean, usage: Partial<Usage>): void {
  const known = open.find((record) => record.stage === stage && record.waste === waste);
  if (known !== undefined) addUsage(known.usage, usage);
  else open.push(...recordsOf(stage, waste, { ...noUsage(), ...structuredClone(usage) }));
}

/** What was done for nothing within a piece of work that goes on. */
export function oweWaste(stage: MeteredStage, usage: Usage): void {
  owe(stage, true, usage);
}

/** The record of a usage, or none for no usage. */
export function recordsOf(stage: MeteredStage, waste: boolean, usage: Usage): UsageRecord[] {
  if (isEmpty(usage)) return [];
  const mb = memoryMb(stage);
  // Enough digits for a bill, few enough for a message.
  for (const [name, ms] of Object.entries(usage.ms)) usage.ms[name] = Math.round(ms * 1000) / 1000;
  return [{ id: newUsageId(), stage, ...(mb !== undefined && { memoryMb: mb }), waste, usage }];
}
