import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAwsClients } from '#adapters/aws-clients.ts';
import { Pipeline } from '#adapters/pipeline.ts';
import { NODE_ARGUMENTS } from '#adapters/runtime.ts';
import type { JobRequest } from '#core/job-request.ts';
import { PipelineConfig } from '#core/pipeline-config.ts';
import { type JobState, jobState } from '#functions/finalizing/job-state.ts';
import { submitJob } from '#functions/planning/submit-job.ts';

export interface WorkerOptions {
  readonly flags?: readonly string[];
  /** The processor cores that it may use, as `taskset` takes them: "0-3". */
  readonly cores?: string;
  readonly onLine?: (line: string) => void;
}

/** S3, SQS, functions and workers, each in a process of its own, as they are on AWS: nobody shares a thread. */
export class LocalCloud implements AsyncDisposable {
  readonly pipeline: Pipeline;
  readonly images: string;
  readonly env: NodeJS.ProcessEnv;
  readonly #children: ChildProcess[];

  private constructor(pipeline: Pipeline, images: string, env: NodeJS.ProcessEnv, server: ChildProcess) {
    this.pipeline = pipeline;
    this.images = images;
    this.env = env;
    this.#children = [server];
  }

  static async start(options: { config?: object; photos?: string; cores?: string }): Promise<LocalCloud> {
    const args = ['--config', JSON.stringify(options.config ?? {})];
    if (options.photos !== undefined) args.push('--photos', options.photos);
    const server = start('local-aws/serve.ts', args, process.env, options.cores);
    const [line] = (await once(createInterface({ input: server.stdout! }), 'line')) as [string];
    const ready = JSON.parse(line) as { env: Record<string, string>; config: unknown; images: string };
    Object.assign(process.env, ready.env);
    const config = PipelineConfig.parse(ready.config);
    const env = { ...process.env, SLUICE_PIPELINE: JSON.stringify(config) };
    return new LocalCloud(new Pipeline(config, createAwsClients()), ready.images, env, server);
  }

  /** Functions in a process of their own. */
  functions(names: readonly string[], options: { concurrency: number; processes: number }): ChildProcess {
    const { concurrency, processes } = options;
    return this.#start('local-aws/function-host.ts', [
      ...names,
      '--concurrency',
      String(concurrency),
      '--processes',
      String(processes),
    ]);
  }

  worker(options: WorkerOptions = {}): ChildProcess {
    const { flags = ['--threads', '1'], ...rest } = options;
    return this.#start('cli/main.ts', ['worker', ...flags], rest);
  }

  async submit(job: string, change: Partial<JobRequest> = {}): Promise<void> {
    await submitJob(
      {
        schema: 1,
        job,
        source: { kind: 'prefix', bucket: this.images, prefix: '' },
        filter: { include: [], exclude: [], suffixes: [] },
        incremental: false,
        submittedAt: new Date().toISOString(),
        ...change,
      },
      { works: this.pipeline.works, jobs: await this.pipeline.queue('jobs') },
    );
  }

  async reached<K extends JobState['kind']>(
    job: string,
    kind: K,
    withinMs: number,
  ): Promise<JobState & { kind: K }> {
    const deadline = performance.now() + withinMs;
    while (performance.now() < deadline) {
      const state = await jobState(job, this.pipeline.works);
      if (state.kind === kind) return state as JobState & { kind: K };
      await sleep(500);
    }
    throw new Error(`${job} is not ${kind} after ${withinMs} ms`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }

  #start(entry: string, args: readonly string[], { cores, onLine }: WorkerOptions = {}): ChildProcess {
    const child = start(entry, args, this.env, cores);
    // Logs are read, also where nobody wants them: a full pipe would stop the process.
    createInterface({ input: child.stdout! }).on('line', (line) => onLine?.(line));
    this.#children.push(child);
    return child;
  }
}

function start(entry: string, args: readonly string[], env: NodeJS.ProcessEnv, cores?: string): ChildProcess {
  const node = [process.execPath, ...NODE_ARGUMENTS, entry, ...args];
  const [command = '', ...rest] = cores === undefined ? node : ['taskset', '-c', cores, ...node];
  return spawn(command, rest, {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
