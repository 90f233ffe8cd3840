import { auditTable } from '#adapters/parquet-audit.ts';
import type { AuditRecord } from '#core/audit-record.ts';
import type { Completion } from '#core/completion.ts';
import type { Plan, PlannedStage } from '#core/plan.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { FinalizePorts } from './finalize-job.ts';

/**
 * The rows of a complete cascade from its tables, stage by stage, in the place of what parts come to: parts may have
 * expired. What is decided on an image says nothing of what is handed on (boxes, and conditions on scores, do), so they
 * are the rows under any policy of the images.
 */
export function rowsOfTables(
  { tables, stages = [] }: Completion,
  plan: Plan,
  works: ObjectStore,
): Required<Pick<FinalizePorts, 'records' | 'following'>> {
  /** Rows of a stage stand together, after those of the stages before it. */
  const rowsOf = async function* ({ name, scores, shadow }: PlannedStage): AsyncGenerator<AuditRecord> {
    const at = stages.findIndex(({ stage }) => stage === name);
    const begin = stages.slice(0, at).reduce((sum, { planned }) => sum + planned, 0);
    const end = begin + (stages[at]?.planned ?? 0);
    let first = 0;
    for (const { key, rows } of tables) {
      const [from, to] = [Math.max(0, begin - first), Math.min(rows, end - first)];
      first += rows;
      if (from >= to) continue;
      const { body } = await works.get(key);
      yield* (await auditTable(body, scores, shadow?.scores)).slice(from, to);
    }
  };
  return {
    records: () => rowsOf(plan.stage),
    following: {
      planned: (stage) => stages.find((one) => one.stage === stage)?.planned ?? 0,
      records: rowsOf,
    },
  };
}
