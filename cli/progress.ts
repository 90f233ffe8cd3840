import { type Options, Presets, SingleBar } from 'cli-progress';
import type { AuditRecord } from '#core/audit-record.ts';
import type { SourceProblem } from '#core/plan.ts';
import type { Verdict } from '#core/policy.ts';

/** What a running job tells whoever watches it. */
export interface JobProgress {
  planning(images: number): void;
  planned(images: number, alreadyDone: number, problems: readonly SourceProblem[]): void;
  part(records: readonly AuditRecord[]): void;
  /** So many rows of a stage that follows on the first one. */
  followed(stage: string, rows: number): void;
  finalizing(): void;
  /** Something that a person should know. */
  notice(text: string): void;
  /** Leaves the terminal as it was. */
  end(): void;
}

const LINE_EVERY_MS = 5000;
const PROBLEMS_SHOWN = 10;

/** A bar on a terminal, a line every few seconds elsewhere; when quiet, only problems. All of it goes to stderr. */
export function progressFor(options: { quiet: boolean; stream?: NodeJS.WriteStream }): JobProgress {
  const stream = options.stream ?? process.stderr;
  if (options.quiet) return quietly(stream);
  return stream.isTTY ? new BarProgress(stream) : new LineProgress(stream);
}

/** What a person should know all the same: the source has problems, or has changed. */
function quietly(stream: NodeJS.WriteStream): JobProgress {
  return {
    planning: () => undefined,
    planned: (_images, _alreadyDone, problems) => void stream.write(problemLines(problems)),
    part: () => undefined,
    followed: () => undefined,
    finalizing: () => undefined,
    notice: (text) => void stream.write(`${text}\n`),
    end: () => undefined,
  };
}

/** Counts what both kinds of progress show. */
class Counts {
  total = 0;
  done = 0;
  failed = 0;
  readonly verdicts: Record<Verdict, number> = { pass: 0, review: 0, reject: 0, unreadable: 0 };
  readonly #followed = new Map<string, number>();
  #startedMs = performance.now();
  #doneBefore = 0;

  start(total: number, done: number): void {
    this.total = total;
    this.done = done;
    this.#doneBefore = done;
    this.#startedMs = performance.now();
  }

  add(records: readonly AuditRecord[]): void {
    this.done += records.length;
    for (const { verdict } of records) if (verdict !== null) this.verdicts[verdict]++;
  }

  follow(stage: string, rows: number): void {
    this.#followed.set(stage, (this.#followed.get(stage) ?? 0) + rows);
  }

  get perSecond(): number {
    const seconds = (performance.now() - this.#startedMs) / 1000;
    return seconds > 0 ? (this.done - this.#doneBefore) / seconds : 0;
  }

  get eta(): string {
    const rate = this.perSecond;
    return rate > 0 ? duration((this.total - this.done) / rate) : '…';
  }

  get verdictText(): string {
    const { pass, review, reject, unreadable } = this.verdicts;
    const parts = [`${pass} pass`, `${review} review`];
    if (reject > 0) parts.push(`${reject} reject`);
    if (unreadable > 0) parts.push(`${unreadable} unreadable`);
    return [parts.join(', '), ...[...this.#followed].map(([stage, rows]) => `${stage} ${rows}`)].join('; ');
  }
}

class BarProgress implements JobProgress {
  readonly #bar: SingleBar;
  readonly #stream: NodeJS.WriteStream;
  readonly #counts = new Counts();

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    const options: Options = {
      format: '{bar} {percentage}% | {value}/{total} | {rate} images/s | ETA {left} | {verdicts}',
      stream,
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 1,
      fps: 8,
    };
    this.#bar = new SingleBar(options, Presets.shades_classic);
  }

  planning(images: number): void {
    this.#stream.write(`\rplanning: ${images} images`);
  }

  planned(images: number, alreadyDone: number, problems: readonly SourceProblem[]): void {
    this.#stream.write(`\r${plannedText(images, alreadyDone, problems)}`);
    this.#counts.start(images, alreadyDone);
    this.#bar.start(images, alreadyDone, this.#payload());
  }

  part(records: readonly AuditRecord[]): void {
    this.#counts.add(records);
    this.#bar.update(this.#counts.done, this.#payload());
  }

  followed(stage: string, rows: number): void {
    this.#counts.follow(stage, rows);
    this.#bar.update(this.#counts.done, this.#payload());
  }

  finalizing(): void {
    this.#bar.stop();
    this.#stream.write('writing the results …\r');
  }

  notice(text: string): void {
    const { done, total } = this.#counts;
    this.#bar.stop();
    this.#stream.write(`${text}\n`);
    if (done < total) this.#bar.start(total, done, this.#payload());
  }

  end(): void {
    this.#bar.stop();
    this.#stream.write('\x1b[K');
  }

  #payload(): object {
    const { perSecond, eta, verdictText } = this.#counts;
    return { rate: perSecond.toFixed(1), left: eta, verdicts: verdictText };
  }
}

class LineProgress implements JobProgress {
  readonly #stream: NodeJS.WriteStream;
  readonly #counts = new Counts();
  #lastMs = performance.now();

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  planning(images: number): void {
    if (this.#isTime()) this.#stream.write(`planning: ${images} images\n`);
  }

  planned(images: number, alreadyDone: number, problems: readonly SourceProblem[]): void {
    this.#stream.write(plannedText(images, alreadyDone, problems));
    this.#counts.start(images, alreadyDone);
    this.#lastMs = performance.now();
  }

  part(records: readonly AuditRecord[]): void {
    this.#counts.add(records);
    this.#line();
  }

  followed(stage: string, rows: number): void {
    this.#counts.follow(stage, rows);
    this.#line();
  }

  #line(): void {
    if (!this.#isTime()) return;
    const { done, total, perSecond, eta, verdictText } = this.#counts;
    this.#stream.write(`${done}/${total} images, ${perSecond.toFixed(1)}/s, ETA ${eta}: ${verdictText}\n`);
  }

  finalizing(): void {
    const { done, total, perSecond, verdictText } = this.#counts;
    this.#stream.write(
      `${done}/${total} images, ${perSecond.toFixed(1)}/s: ${verdictText}, before what only the whole job tells; writing the results\n`,
    );
  }

  notice(text: string): void {
    this.#stream.write(`${text}\n`);
  }

  end(): void {
    // Lines need no cleaning up.
  }

  #isTime(): boolean {
    const now = performance.now();
    if (now - this.#lastMs < LINE_EVERY_MS) return false;
    this.#lastMs = now;
    return true;
  }
}

function plannedText(images: number, alreadyDone: number, problems: readonly SourceProblem[]): string {
  const done = alreadyDone > 0 ? `, ${alreadyDone} of them done already` : '';
  return `planned ${images} images${done}\n${problemLines(problems)}`;
}

function problemLines(problems: readonly SourceProblem[]): string {
  const lines = problems
    .slice(0, PROBLEMS_SHOWN)
    .map(
      ({ line, problem }) => `  ${line === undefined ? '' : `manifest line ${line} `}skipped: ${problem}\n`,
    );
  const more = problems.length - PROBLEMS_SHOWN;
  return `${lines.join('')}${more > 0 ? `  and ${more} more: see summary.json\n` : ''}`;
}

/** Seconds for people: "45 s", "3 min 20 s", "2 h 5 min". */
function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}
