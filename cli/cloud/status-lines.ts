import { MAX_DEATHS } from '#functions/finalizing/finalizing-attempt.ts';
import type { DeathCause } from '#functions/finalizing/redrive.ts';
import { budgetLines } from './budget-lines.ts';
import type { PipelineStatus, QueueDepth } from './pipeline-status.ts';

const BAR_WIDTH = 30;
const MAX_CAUSES = 3;

/** What `sluice status` shows. The rate is that since an earlier look. */
export function statusLines(now: PipelineStatus, before?: PipelineStatus): string[] {
  const lines = [`job         ${now.job}: ${now.state}`, `source      ${now.source}`];
  if (now.reason !== undefined) lines.push(`reason      ${now.reason}`);
  if (now.state === 'broken') return lines;
  if (now.state === 'planning')
    lines.push(`images      being listed, about ${count(now.listed ?? 0)} so far`);
  else lines.push(...imageLines(now, before));
  lines.push(...finalizingLines(now));
  if (now.budget !== undefined) lines.push(...indented('budget', budgetLines(now.job, now.budget)));
  lines.push(
    `queues      shards ${depth(now.queues.shards)} · bulk packs ${depth(now.queues.bulk)} · live packs ${depth(now.queues.live)}`,
  );
  if (now.state !== 'complete') lines.push(...workerLines(now));
  return lines;
}

/** Why a job that is over does not become complete. */
function finalizingLines({ job, finalizing, deadLetters = [] }: PipelineStatus): string[] {
  const died = deathLines(deadLetters);
  if (finalizing === undefined) return died;
  const { deaths, reason } = finalizing;
  if (deaths >= MAX_DEATHS) {
    return [
      ...died,
      `completing  is too much for its function: run sluice finalize ${job} on a larger machine`,
    ];
  }
  return [
    ...died,
    ...(reason === undefined ? [] : [`completing  failed, and is tried again each minute: ${reason}`]),
  ];
}

export function deathLines(causes: readonly DeathCause[]): string[] {
  return causes
    .slice(0, MAX_CAUSES)
    .map(({ queue, reason, letters }) => `died        ${count(letters)} of ${queue}: ${reason}`);
}

function indented(name: string, [first = '', ...rest]: readonly string[]): string[] {
  return [`${name.padEnd(12)}${first}`, ...rest.map((line) => `${' '.repeat(12)}${line}`)];
}

function imageLines(now: PipelineStatus, before: PipelineStatus | undefined): string[] {
  const { planned, failed, carried, unreadable = 0 } = now;
  const line = `images      ${bar(now)}`;
  const notes = [
    ...(carried > 0 ? [`${count(carried)} unchanged since the last job`] : []),
    ...(unreadable > 0
      ? [
          `${unreadable === planned ? 'none could be read' : `${count(unreadable)} could not be read`} (sluice report ${now.job} says why)`,
        ]
      : []),
    ...(failed > 0 ? [`${count(failed)} failed (sluice redrive ${now.job} tries them again)`] : []),
  ];
  const stages = (now.following ?? []).map(
    (of) =>
      `${of.stage.slice(0, 11).padEnd(11)} ${bar(of)}${of.failed > 0 ? `, ${count(of.failed)} failed` : ''}`,
  );
  return [`${line}${pace(now, before)}`, ...notes.map((note) => `            ${note}`), ...stages];
}

/** How far the images are, or the pieces that a following stage sees. */
function bar({ planned, done, failed }: Pick<PipelineStatus, 'planned' | 'done' | 'failed'>): string {
  const share = planned === 0 ? 1 : (done + failed) / planned;
  const filled = Math.round(share * BAR_WIDTH);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${Math.floor(share * 100)} %  ${count(done)} of ${count(planned)}`;
}

function pace(now: PipelineStatus, before: PipelineStatus | undefined): string {
  if (before === undefined || now.state !== 'running') return '';
  const seconds = (Date.parse(now.at) - Date.parse(before.at)) / 1000;
  const perSecond = (now.done - before.done) / seconds;
  if (!(perSecond > 0)) return '';
  const left = (now.planned - now.done - now.failed) / perSecond;
  return `  ${perSecond.toFixed(0)} images/s  ${duration(left)} left`;
}

export function workerLines({
  workers,
  bottleneck,
}: Pick<PipelineStatus, 'workers' | 'bottleneck'>): string[] {
  const perSecond = workers.reduce((sum, worker) => sum + worker.imagesPerSecond, 0);
  const fill = workers.reduce((sum, worker) => sum + worker.batchFill, 0) / Math.max(1, workers.length);
  const providers = [...new Set(workers.map((worker) => worker.provider))].join(', ');
  const line =
    workers.length === 0
      ? 'workers     none'
      : `workers     ${workers.length} (${providers})  ${perSecond.toFixed(0)} images/s  batches ${Math.round(fill * 100)} % full`;
  return [line, `bottleneck  ${bottleneck}`];
}

export function depth({ waiting, leased }: QueueDepth): string {
  return `${count(waiting)} waiting, ${count(leased)} in hand`;
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const two = (n: number): string => String(n).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)} h` : `${minutes}:${two(whole % 60)} min`;
}

export function count(n: number): string {
  return n.toLocaleString('en-US');
}
