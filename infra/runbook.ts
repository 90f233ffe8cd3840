/** The sections of docs/runbook.md that alarms lead to, by the anchors of their headings. */
export type RunbookSection =
  | 'dead-letters'
  | 'old-messages'
  | 'growing-backlog'
  | 'starved-workers'
  | 'failing-functions'
  | 'failing-deliveries'
  | 'spot-drought'
  | 'scaling';

/** Where the runbook is, as seen from the repository: a URL of one's own may stand before it. */
export const RUNBOOK = 'docs/runbook.md';

/** The description of an alarm: what it means, and where it says what to do. */
export function alarmText(meaning: string, section: RunbookSection): string {
  return `${meaning} Runbook: ${RUNBOOK}#${section}`;
}
