import type { Summary } from '#core/summary.ts';

/** The results of a job for a person at a terminal. */
export function summaryTable(summary: Summary, outputs: Readonly<Record<string, string>>): string {
  const { planned, audited, unreadable, failed, stages, shadows, verdicts, checks, refusals } = summary;
  const lines = [
    '',
    `${count(planned)} images = ${count(audited)} audited + ${count(unreadable)} unreadable + ${count(failed)} failed` +
      `, ${summary.seconds.toFixed(1)} s, ${summary.imagesPerSecond.toFixed(1)} images/s`,
    ...(stages === undefined ? [] : stageLines(stages)),
    ...(shadows === undefined ? [] : shadowLines(shadows)),
    '',
    ...section('verdicts', verdicts),
    ...section('checks', checks),
    ...section('unreadable', refusals),
    ...forbiddenLines(refusals['forbidden'] ?? 0, planned),
  ];
  if (failed > 0) lines.push(...failedLines(summary), '');
  for (const [name, path] of Object.entries(outputs)) lines.push(`  ${name.padEnd(8)} ${path}`);
  return `${lines.join('\n')}\n`;
}

/** What each stage of a cascade saw. */
function stageLines(stages: NonNullable<Summary['stages']>): string[] {
  const rows = stages.map(
    ({ stage, model, planned, audited, unreadable, failed }) =>
      `  ${`${stage} (${model})`.padEnd(30)} ${count(planned).padStart(9)} = ${count(audited)} audited + ${count(unreadable)} unreadable + ${count(failed)} failed`,
  );
  return ['', 'stages', ...rows];
}

/** Where the shadows of stages would have decided otherwise. */
function shadowLines(shadows: NonNullable<Summary['shadows']>): string[] {
  const rows = shadows.flatMap(({ stage, model, compared, agreed, flips, flipped, failed, failure }) => [
    `  ${`${stage}: ${model}`.padEnd(30)} agrees in ${count(agreed)} of ${count(compared)}${Object.entries(
      flips,
    )
      .map(([flip, n]) => `; ${flip} ${count(n)}`)
      .join('')}`,
    ...(failed > 0 ? [`    failed on ${count(failed)}: ${failure}`] : []),
    ...flipped
      .slice(0, 5)
      .map(({ row, verdict, shadow }) => `    ${JSON.stringify(row)} ${verdict} → ${shadow}`),
  ]);
  return ['', 'shadows', ...rows];
}

/** A whole source that may not be read is one missing permission, and no matter of its images. */
function forbiddenLines(forbidden: number, planned: number): string[] {
  if (forbidden === 0) return [];
  const which =
    forbidden === planned ? 'none of the images may be read' : `${count(forbidden)} may not be read`;
  return [`  ${which}: the report and the column error_detail name the permission that is missing`, ''];
}

const BAR_WIDTH = 30;

function section(title: string, counts: Readonly<Record<string, number>>): string[] {
  const entries = Object.entries(counts).filter(([, n]) => n > 0);
  if (entries.length === 0) return [];
  const most = Math.max(...entries.map(([, n]) => n));
  const rows = entries.map(([name, n]) => {
    const bar = '█'.repeat(Math.max(1, Math.round((n / most) * BAR_WIDTH)));
    return `  ${name.replaceAll('_', ' ').padEnd(20)} ${count(n).padStart(9)}  ${bar}`;
  });
  return [title, ...rows, ''];
}

function failedLines(summary: Summary): string[] {
  const shown = summary.failedKeys
    .slice(0, 10)
    .map(({ key, reason }) => `  ${JSON.stringify(key)}: ${reason}`);
  return ['failed (run the same command again to try them once more)', ...shown];
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}
