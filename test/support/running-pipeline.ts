import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAwsClients } from '#adapters/aws-clients.ts';
import { jsonLog } from '#adapters/json-log.ts';
import { loadStages } from '#adapters/load-stages.ts';
import { type LoadedModel, loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { Pipeline } from '#adapters/pipeline.ts';
import { NODE_ARGUMENTS } from '#adapters/runtime.ts';
import type { JobRequest } from '#core/job-request.ts';
import type { Engine } from '#core/ports/engine.ts';
import { type JobState, jobState } from '#functions/finalizing/job-state.ts';
import { submitJob } from '#functions/planning/submit-job.ts';
import { type LocalFunctionsOptions, runFunctions } from '#local-aws/functions.ts';
import { createPipeline, type LocalPipelineOptions } from '#local-aws/local-pipeline.ts';
import { type LocalAws, type LocalAwsOptions, startLocalAws } from '#local-aws/server.ts';
import { HeldModels } from '#workers/held-models.ts';
import { runWorkerProcess } from '#workers/worker-process.ts';

function loadEngine({ modelPath }: LoadedModel): Promise<Engine> {
  return OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 8 });
}

let sharedEngine: Promise<Engine> | undefined;

/** A pipeline on a local S3 and SQS, with its functions in this process and its workers as processes of their own. */
export class RunningPipeline implements AsyncDisposable {
  readonly aws: LocalAws;
  readonly pipeline: Pipeline;
  /** The bucket that the images lie in. */
  readonly images: string;
  readonly log: string[] = [];
  readonly #children: ChildProcess[] = [];
  readonly #workersHere: { stop: AbortController; done: Promise<void> }[] = [];
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
    return new RunningPipeline(aws, new Pipeline(config, createAwsClients()), images);
  }

  /** Runs functions until {@link stopFunctions}. */
  startFunctions(options: Partial<LocalFunctionsOptions> = {}): void {
    const stop = new AbortController();
    const log = jsonLog({}, (line) => void this.log.push(line));
    const done = runFunctions(
      this.pipeline,
      { preprocessConcurrency: 4, processes: 1, finalizeEveryMs: 300, log, ...options },
      stop.signal,
    );
    // Told when they are stopped; a test that fails for another reason has nothing to hear of it.
    done.catch(() => undefined);
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

  /** A worker as a process of its own: the command, or another file. */
  startWorker(env: NodeJS.ProcessEnv = {}, entry?: string, flags: readonly string[] = []): ChildProcess {
    return entry === undefined
      ? this.startProcess('cli/main.ts', ['worker', '--threads', '1', ...flags], env)
      : this.startProcess(entry, [], env);
  }

  startProcess(entry: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn(process.execPath, [...NODE_ARGUMENTS, entry, ...args], {
      env: { ...this.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (chunk: Buffer) => this.log.push(chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => this.log.push(chunk.toString()));
    this.#children.push(child);
    return child;
  }

  /** The model's engine in this process, loaded once for all pipelines. */
  engine(): Promise<Engine> {
    sharedEngine ??= loadModel(this.pipeline.config.model).then(loadEngine);
    return sharedEngine;
  }

  /** A worker in this process: no start-up to wait for. @returns what stops it. */
  async startWorkerHere(
    options: { engine?: Engine; engineOf?: (stage: string, engine: Engine) => Engine } = {},
  ): Promise<() => Promise<void>> {
    const stop = new AbortController();
    const stages = await loadStages(this.pipeline.config, loadModel);
    const isCascade = this.pipeline.config.cascade !== undefined;
    const models = isCascade ? await HeldModels.load(stages, loadEngine) : undefined;
    const done = runWorkerProcess(this.pipeline, {
      model: stages.first,
      engine: options.engine ?? models?.first.engine ?? (await this.engine()),
      ...(models?.first.shadow && { shadow: models.first.shadow }),
      ...(models && {
        following: models.following.map((model) => ({
          ...model,
          engine: options.engineOf?.(model.stage, model.engine) ?? model.engine,
        })),
      }),
      healthHost: '127.0.0.1',
      metadataEndpoint: 'http://127.0.0.1:9',
      metadataEveryMs: 60_000,
      drainLimitMs: 60_000,
      log: jsonLog({}, (line) => void this.log.push(line)),
      emit: () => undefined,
      stop: stop.signal,
    }).finally(() => models?.[Symbol.asyncDispose]());
    this.#workersHere.push({ stop, done });
    return () => {
      stop.abort();
      return done;
    };
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
    for (const { stop, done } of this.#workersHere) {
      stop.abort();
      await done;
    }
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await this.aws[Symbol.asyncDispose]();
  }
}
