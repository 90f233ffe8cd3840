import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { jsonLog } from '#adapters/json-log.ts';
import { Pipeline } from '#adapters/pipeline.ts';
import { NODE_ARGUMENTS } from '#adapters/runtime.ts';
import type { JobRequest } from '#core/job-request.ts';
import { type JobState, jobState } from '#functions/finalizing/job-state.ts';
import { submitJob } from '#functions/planning/submit-job.ts';
import { type LocalFunctionsOptions, runFunctions } from '../../local-aws/functions.ts';
import { createPipeline, type LocalPipelineOptions } from '../../local-aws/local-pipeline.ts';
import { type LocalAws, type LocalAwsOptions, startLocalAws } from '../../local-aws/server.ts';

/** A pipeline on a local S3 and SQS, with its functions in this process and its workers as processes of their own. */
export class RunningPipeline implements AsyncDisposable {
  readonly aws: LocalAws;
  readonly pipeline: Pipeline;
  /** The bucket that the images lie in. */
  readonly images: string;
  readonly workers: ChildProcess[] = [];
  readonly log: string[] = [];
  #functions: { stop: AbortController; done: Promise<void> } | undefined;

  private constructor(aws: LocalAws, pipeline: Pipeline, images: string) {
    this.aws = aws;
    this.pipeline = pipeline;
    this.images = images;
  }

  static async start(
    options: Partial<LocalPipelineOptions> & { aws?: LocalAwsOptions } = {},
  ): Promise<RunningPipeline> {
    const aws = await startLocalAws(options.aws);
    // The SDK reads its settings from here, in this process as in its children.
    Object.assign(process.env, aws.env);
    const { config, images } = await createPipeline(aws, { name: 'test', ...options });
    return new RunningPipeline(aws, new Pipeline(config), images);
  }

  /** Runs functions until {@link stopFunctions}. */
  startFunctions(options: Partial<LocalFunctionsOptions> = {}): void {
    const stop = new AbortController();
    const log = jsonLog({}, (line) => void this.log.push(line));
    const done = runFunctions(
      this.pipeline,
      { preprocessConcurrency: 4, processes: 2, finalizeEveryMs: 300, log, ...options },
      stop.signal,
    );
    this.#functions = { stop, done };
  }

  async stopFunctions(): Promise<void> {
    this.#functions?.stop.abort();
    await this.#functions?.done;
    this.#functions = undefined;
  }

  get env(): NodeJS.ProcessEnv {
    return { ...process.env, SLUICE_PIPELINE: JSON.stringify(this.pipeline.config) };
  }

  startWorker(env: NodeJS.ProcessEnv = {}, entry = 'cli/main.ts'): ChildProcess {
    const args = entry === 'cli/main.ts' ? ['worker', '--threads', '1'] : [];
    const worker = spawn(process.execPath, [...NODE_ARGUMENTS, entry, ...args], {
      env: { ...this.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    worker.stdout?.on('data', (chunk: Buffer) => this.log.push(chunk.toString()));
    worker.stderr?.on('data', (chunk: Buffer) => this.log.push(chunk.toString()));
    this.workers.push(worker);
    return worker;
  }

  async submit(job: string, change: Partial<JobRequest> = {}): Promise<void> {
    const { works } = this.pipeline;
    const request: JobRequest = {
      schema: 1,
      job,
      source: { kind: 'prefix', bucket: this.images, prefix: '' },
      filter: { include: [], exclude: [], suffixes: [] },
      incremental: false,
      submittedAt: new Date().toISOString(),
      ...change,
    };
    await submitJob(request, { works, jobs: await this.pipeline.queue('jobs') });
  }

  /** Waits until the job is in the state. Fails when it is broken, or takes longer than that. */
  async reached<K extends JobState['kind']>(
    job: string,
    kind: K,
    withinMs = 60_000,
  ): Promise<JobState & { kind: K }> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const state = await jobState(job, this.pipeline.works);
      if (state.kind === kind) return state as JobState & { kind: K };
      if (performance.now() > deadline || state.kind === 'broken') {
        throw new Error(`${job} is ${JSON.stringify(state).slice(0, 500)}\n${this.log.slice(-20).join('')}`);
      }
      await sleep(100);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopFunctions();
    for (const worker of this.workers) {
      if (worker.exitCode !== null || worker.signalCode !== null) continue;
      worker.kill('SIGKILL');
      await once(worker, 'exit');
    }
    await this.aws[Symbol.asyncDispose]();
  }
}
