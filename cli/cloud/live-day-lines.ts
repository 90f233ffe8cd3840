import type { LiveDayStatus } from './live-day-status.ts';
import { count, deathLines, depth, duration, workerLines } from './status-lines.ts';

/** What `sluice status live-<day>` shows. */
export function liveDayLines(now: LiveDayStatus): string[] {
  const isOpen = now.state === 'open';
  const lines = [
    `job         ${now.job}: ${now.state}`,
    `source      new objects of ${now.day} (UTC)`,
    `images      ${imagesText(now)}`,
    ...verdictLines(now),
    ...deathLines(now.deadLetters),
  ];
  if (!isOpen) return lines;
  if (now.newestAt !== undefined) {
    const agoSeconds = Math.max(0, (Date.parse(now.at) - Date.parse(now.newestAt)) / 1000);
    lines.push(`newest      ${now.newestAt.slice(11, 19)} UTC, ${duration(agoSeconds)} ago`);
  }
  lines.push(`queues      events ${depth(now.queues.events)} · live packs ${depth(now.queues.live)}`);
  if (now.longestWaitSeconds !== undefined)
    lines.push(
      `waited      ${now.longestWaitSeconds.toFixed(1)} s for a model at the longest, in the last minute`,
    );
  return [...lines, ...workerLines(now)];
}

function imagesText({ state, audited, unreadable, failed, job }: LiveDayStatus): string {
  const letters = failed > 0 ? ` (sluice redrive ${job} tries them again)` : '';
  if (state === 'complete')
    return `${count(audited)} audited, ${count(unreadable ?? 0)} unreadable, ${count(failed)} failed${letters}`;
  const died = failed > 0 ? `, ${count(failed)} dead letters${letters}` : '';
  return audited === 0 && failed === 0 ? 'none so far' : `${count(audited)} so far${died}`;
}

function verdictLines({ state, verdicts, judged }: LiveDayStatus): string[] {
  if (judged === 0) return [];
  const each = Object.entries(verdicts)
    .filter(([, images]) => images > 0)
    .map(([verdict, images]) => `${verdict} ${count(images)}`);
  return [`verdicts    ${each.join(' · ')}${state === 'open' ? `, of the newest ${count(judged)}` : ''}`];
}
