import { randomBytes } from 'node:crypto';
import { addUsage, isEmpty, type MeteredStage, noUsage, type Usage, type UsageRecord } from '#core/usage.ts';

// What this process has consumed and no record has told yet. The next one does, whatever job it is of.

/** What could not be told so often in a row is told as a sum. */
const MAX_OWED = 500;
/** For whom something was consumed: a job, nobody (`idle`), or, with neither, whoever tells it. */
export interface Purpose {
  readonly job?: string | undefined;
  readonly idle?: true | undefined;
}

const owed: UsageRecord[] = [];
/** The same that is not yet out in any record: it can still be added to. */
let open: UsageRecord[] = [];

export function owe(stage: MeteredStage, waste: boolean, usage: Partial<Usage>, purpose: Purpose): void {
  const { job, idle } = purpose;
  const known = open.find(
    (record) =>
      record.stage === stage && record.waste === waste && record.job === job && record.idle === idle,
  );
  if (known !== undefined) addUsage(known.usage, usage);
  else open.push(...recordsOf(stage, waste, { ...noUsage(), ...structuredClone(usage) }, purpose));
}

/** Adds whole records; of very many, those that are too much become sums. */
export function oweRecords(records: readonly UsageRecord[]): void {
  owed.push(...records);
  for (const { stage, waste, usage, job, idle } of owed.splice(MAX_OWED))
    owe(stage, waste, usage, { job, idle });
}

/** All of it, which stays owed. */
export function owedRecords(): readonly UsageRecord[] {
  return [...owed, ...open];
}

/**
 * What is owed, up to so many records. A look that `finalize` took at another job waits until that one is complete, which is
 * its process's own matter.
 */
export function takeOwed(job: string | undefined, most: number): UsageRecord[] {
  owed.push(...open);
  open = [];
  const taken: UsageRecord[] = [];
  const left: UsageRecord[] = [];
  for (const record of owed) {
    const waits = record.stage === 'finalize' && record.job !== undefined && record.job !== job;
    (waits || taken.length >= most ? left : taken).push(record);
  }
  owed.splice(0, owed.length, ...left);
  return taken;
}

function newUsageId(): string {
  return randomBytes(8).toString('base64url');
}

/** Of a function; elsewhere there is none. */
function memoryMb(stage: MeteredStage): number | undefined {
  const memory = Number(process.env['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']);
  return stage !== 'worker' && memory > 0 ? memory : undefined;
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

export function purposeOf({ job, idle }: Purpose): { job?: string; idle?: true } {
  return { ...(job !== undefined && { job }), ...(idle && { idle }) };
}
