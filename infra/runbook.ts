/** The sections of docs/runbook.md that alarms lead to, by the anchors of their headings. */
export type RunbookSection =
  | 'dead-letters'
  | 'old-messages'
  | 'growing-backlog'
  | 'starved-workers'
  | 'failing-functions'
  | 'failing-deliveries'
  | 'spot-drought'
  | 'broken-jobs'
  | 'failed-images'
  | 'scaling';

/** Where the runbook is in this repository, for a pipeline that has no URL of it. */
export const RUNBOOK = 'docs/runbook.md';
