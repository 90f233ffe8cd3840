import { budgetLines } from './budget-lines.ts';
import type { PipelineStatus, QueueDepth } from './pipeline-status.ts';

const BAR_WIDTH = 30;

/** What `sluice status` shows. The rate is that since the look before. */
export function statusLines(now: PipelineStatus, before: PipelineStatus | undefined): string[] {
  const lines = [`job         ${now.job}: ${now.state}`, `source      ${now.source}`];
  if (now.reason !== undefined) lines.push(`reason      ${now.reason}`);
  if (now.state === 'broken') return lines;
  if (now.state === 'planning') lines.push('images      being listed');
  else lines.push(...imageLines(now, before));
  if (now.budget !== undefined) lines.push(...indented('budget', budgetLines(now.job, now.budget)));
  lines.push(
    `queues      shards ${depth(now.queues.shards)} · bulk packs ${depth(now.queues.bulk)} · live packs ${depth(now.queues.live)}`,
  );
  if (now.state !== 'complete') lines.push(...workerLines(now));
  return lines;
}

function indented(name: string, [first = '', ...rest]: readonly string[]): string[] {
  return [`${name.padEnd(12)}${first}`, ...rest.map((line) => `${' '.repeat(12)}${line}`)];
}

function imageLines(now: PipelineStatus, before: PipelineStatus | undefined): string[] {
  const { planned, done, failed, carried } = now;
  const share = planned === 0 ? 1 : (done + failed) / planned;
  const filled = Math.round(share * BAR_WIDTH);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  const line = `images      ${bar} ${Math.floor(share * 100)} %  ${count(done)} of ${count(planned)}`;
  const notes = [
    ...(carried > 0 ? [`${count(carried)} unchanged since the last job`] : []),
    ...(failed > 0 ? [`${count(failed)} failed (sluice redrive ${now.job} tries them again)`] : []),
  ];
  const stages = (now.following ?? []).map(
    (of) =>
      `stage ${of.stage}: ${count(of.done)} of ${count(of.planned)}${of.failed > 0 ? `, ${count(of.failed)} failed` : ''}`,
  );
  return [`${line}${pace(now, before)}`, ...[...notes, ...stages].map((note) => `            ${note}`)];
}

function pace(now: PipelineStatus, before: PipelineStatus | undefined): string {
  if (before === undefined || now.state !== 'running') return '';
  const seconds = (Date.parse(now.at) - Date.parse(before.at)) / 1000;
  const perSecond = (now.done - before.done) / seconds;
  if (!(perSecond > 0)) return '';
  const left = (now.planned - now.done - now.failed) / perSecond;
  return `  ${perSecond.toFixed(0)} images/s  ${duration(left)} left`;
}

function workerLines(now: PipelineStatus): string[] {
  const { workers } = now;
  const perSecond = workers.reduce((sum, worker) => sum + worker.imagesPerSecond, 0);
  const fill = workers.reduce((sum, worker) => sum + worker.batchFill, 0) / Math.max(1, workers.length);
  const providers = [...new Set(workers.map((worker) => worker.provider))].join(', ');
  const line =
    workers.length === 0
      ? 'workers     none'
      : `workers     ${workers.length} (${providers})  ${perSecond.toFixed(0)} images/s  batches ${Math.round(fill * 100)} % full`;
  return [line, `bottleneck  ${now.bottleneck}`];
}

function depth({ waiting, leased }: QueueDepth): string {
  return `${count(waiting)} waiting, ${count(leased)} in hand`;
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const two = (n: number): string => String(n).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)} h` : `${minutes}:${two(whole % 60)} min`;
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}
