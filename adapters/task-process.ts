import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SluiceError } from '#core/error.ts';
import { NODE_ARGUMENTS } from './runtime.ts';

/** What the parent sends: first how to set up, then one task at a time, and answers to what a task has asked by an event. */
export type ToChild<Setup, Task> =
  | { kind: 'setup'; setup: Setup }
  | { kind: 'task'; task: Task }
  | { kind: 'answer'; answer: unknown };

/** What the child sends back: any number of events of the task, then its result. */
export type FromChild<Event, Result> = { kind: 'event'; event: Event } | { kind: 'result'; result: Result };

/** Children that are alive. One that hangs in native code does not notice that its parent goes: it would go on for ever. */
const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

interface Running<Event, Result> {
  onEvent(event: Event): void;
  resolve(result: Result): void;
  reject(error: SluiceError): void;
}

/**
 * A child process that does one task at a time and can be killed whatever it is doing: native code that
 * overruns, or takes the process down, takes nothing else with it.
 *
 * It is idle → busy (`run`) → idle …, until `kill` or its own end makes it dead; a dead one rejects its task
 * and stays dead.
 */
export class TaskProcess<Setup, Task, Event, Result> {
  readonly #child: ChildProcess;
  #running: Running<Event, Result> | undefined;
  readonly #what: string;
  #dead: SluiceError | undefined;

  /** @param what it is called in errors. */
  constructor(entry: URL, setup: Setup, what = 'a decoding process') {
    this.#what = what;
    this.#child = fork(fileURLToPath(entry), {
      // Pictures lie outside of V8's heap, which it looks through again and again for what they leave; its own threads would take
      // the cores that decode: without them a folder of 1-megapixel JPEGs takes 7 % less time on two cores.
      execArgv: [...NODE_ARGUMENTS, '--single-threaded-gc'],
      serialization: 'advanced',
      // Decoders allocate from several threads: two malloc arenas hold the process's memory down at no cost in speed.
      env: { ...process.env, MALLOC_ARENA_MAX: '2' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    alive.add(this.#child);
    this.#child.on('message', (message) => this.#receive(message as FromChild<Event, Result>));
    this.#child.on('error', (cause) => this.#die(`could not be started (${cause.message})`));
    this.#child.on('exit', (code, signal) => this.#die(`ended with ${signal ?? `exit code ${code}`}`));
    this.#send({ kind: 'setup', setup });
  }

  /** Of the child; `undefined` where it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isDead(): boolean {
    return this.#dead !== undefined;
  }

  /** @throws SluiceError `internal`, retryable, when the process dies on the task. */
  run(task: Task, onEvent: (event: Event) => void = () => undefined): Promise<Result> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    if (this.#running !== undefined)
      throw new SluiceError('internal', 'a task process does one task at a time');
    return new Promise((resolve, reject) => {
      this.#running = { onEvent, resolve, reject };
      this.#send({ kind: 'task', task });
    });
  }

  /** Answers an event. */
  answer(answer: unknown): void {
    this.#send({ kind: 'answer', answer });
  }

  /** Ends the process at once, whatever it is doing. */
  kill(): void {
    this.#die('was ended');
    this.#child.kill('SIGKILL');
  }

  #send(message: ToChild<Setup, Task>): void {
    // A send to a process that is just dying fails; its 'exit' event tells the rest.
    this.#child.send(message, () => undefined);
  }

  #receive(message: FromChild<Event, Result>): void {
    if (message.kind === 'event') {
      this.#running?.onEvent(message.event);
      return;
    }
    const running = this.#running;
    this.#running = undefined;
    running?.resolve(message.result);
  }

  #die(how: string): void {
    alive.delete(this.#child);
    this.#dead ??= new SluiceError('internal', `${this.#what} ${how}`, { retryable: true });
    this.#running?.reject(this.#dead);
    this.#running = undefined;
  }
}

/**
 * The child's side: serves tasks until the parent goes away. The handler sets itself up once.
 */
export function serveTasks<Setup, Task, Event, Result>(
  start: (setup: Setup) => (task: Task, emit: (event: Event) => void) => Promise<Result>,
  onAnswer: (answer: unknown) => void = () => undefined,
): void {
  const send = (message: FromChild<Event, Result>): void => void process.send?.(message, () => undefined);
  let handle: ReturnType<typeof start> | undefined;
  process.on('message', async (message: ToChild<Setup, Task>) => {
    if (message.kind === 'setup') {
      handle = start(message.setup);
      return;
    }
    if (message.kind === 'answer') {
      onAnswer(message.answer);
      return;
    }
    if (handle === undefined) throw new SluiceError('internal', 'a task came before the set-up');
    const result = await handle(message.task, (event) => send({ kind: 'event', event }));
    send({ kind: 'result', result });
  });
  process.on('disconnect', () => process.exit());
  // Ctrl-C reaches the whole process group; the parent decides when its children end.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
}
