import { spawn } from 'node:child_process';
import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { partPrefix } from '#core/job-layout.ts';
import { liveJob } from '#functions/live/live-job.ts';
import { submitJob } from '#functions/planning/submit-job.ts';
import { bundleFunctions } from '#infra/packages/bundle-functions.ts';
import { packagedModel } from '#infra/packages/package-models.ts';
import { DeployedNames } from '#test/support/deployed-names.ts';
import { writeLayer } from '#test/support/layer-folder.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { type Resource, SynthesizedStack } from '#test/support/synthesized-stack.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const LIMIT_BYTES = 100 * 1000 * 1000;

/** What Lambda's runtime does: loads the handler, gives it an event, and waits for the answer. */
const RUNTIME = `
  const { handler } = await import(process.argv[1]);
  for await (const line of process.stdin) {
    const answer = await handler(JSON.parse(line), { getRemainingTimeInMillis: () => 60_000 });
    process.stdout.write('ANSWER ' + JSON.stringify(answer) + '\\n');
  }`;

const environment = {
  name: 'Sluice',
  sources: [{ bucket: 'test-images' }],
  pipeline: { packSize: 4, shardSize: 8, worker: { providers: ['cpu'] } },
  fleet: { image: { dockerfile: 'workers/Dockerfile' } },
};

interface FunctionProperties {
  readonly Code: { readonly S3Key: string };
  readonly Handler: string;
  readonly Layers: readonly { readonly Ref: string }[];
  readonly Environment: { readonly Variables: Readonly<Record<string, unknown>> };
}

describe('the packages of the functions, as they would be uploaded', () => {
  let running: RunningPipeline;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let stack: SynthesizedStack;
  /** Lambda's root: the package lies in var/task, its layers in opt. */
  let root: string;

  /** A function as the template has it. */
  function propertiesOf(name: string): FunctionProperties {
    const found = stack
      .ofType('AWS::Lambda::Function')
      .find(([, { Properties }]) => Properties['Handler'] === `functions/${name}.handler`);
    return found?.[1].Properties as unknown as FunctionProperties;
  }

  beforeAll(async () => {
    folder = await temporaryFolder();
    const packages = { functionCode: join(folder.path, 'code'), decoderLayer: join(folder.path, 'layer') };
    await bundleFunctions(packages.functionCode);
    await writeLayer(packages.decoderLayer);
    stack = await SynthesizedStack.of(environment, packages);
    running = await RunningPipeline.start({ config: environment.pipeline });

    root = join(folder.path, 'root');
    const { Code, Layers } = propertiesOf('plan');
    await mkdir(join(root, 'var'), { recursive: true });
    await cp(stack.asset(Code), join(root, 'var/task'), { recursive: true });
    for (const { Ref } of Layers) {
      const { Properties } = stack.resources[Ref] as Resource;
      const { Content } = Properties as { Content?: { S3Key: string } };
      await cp(stack.asset(Content as { S3Key: string }), join(root, 'opt'), { recursive: true });
    }
    const create = { width: 50, height: 50, channels: 3, background: '#17a' } as const;
    const bytes = await sharp({ create }).jpeg().toBuffer();
    for (let i = 0; i < 8; i++) running.aws.objects.putObject(running.images, `${i}.jpg`, bytes);
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    await stack[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  /** Starts a function in its bare directory, with the variables that it would have, and gives it one event. */
  async function invoke(name: string, event: object): Promise<unknown> {
    const { Handler, Environment } = propertiesOf(name);
    const names = new DeployedNames(stack, running.pipeline.config.queues.jobs.replace('test-jobs', ''));
    const pipeline = String(names.resolve(Environment.Variables['SLUICE_PIPELINE']));
    const task = join(root, 'var/task');
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', RUNTIME, join(task, Handler.replace('.handler', '.mjs'))],
      {
        cwd: task,
        env: {
          ...running.aws.env,
          PATH: process.env['PATH'],
          NODE_PATH: join(root, 'opt/nodejs/node_modules'),
          SLUICE_PIPELINE: pipeline.replaceAll('/opt/', `${root}/opt/`),
        },
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    const said: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
    try {
      child.stdin.write(`${JSON.stringify(event)}\n`);
      for await (const line of createInterface({ input: child.stdout })) {
        if (line.startsWith('ANSWER ')) return JSON.parse(line.slice('ANSWER '.length));
        said.push(line);
      }
      throw new Error(`no answer came:\n${said.join('\n')}`);
    } finally {
      child.kill('SIGKILL');
    }
  }

  /** The messages of a queue as an event of Lambda's. They are not taken from the queue. */
  async function eventOf(queue: 'jobs' | 'shards' | 'events'): Promise<object> {
    const leases = await (await running.pipeline.queue(queue)).receive({ maxMessages: 10, waitMs: 1000 });
    expect(leases.length).toBeGreaterThan(0);
    return {
      Records: leases.map(({ body }, i) => ({
        messageId: String(i),
        body,
        attributes: { ApproximateReceiveCount: '1' },
      })),
    };
  }

  it('are small enough, and leave the model runtime out', async () => {
    expect(await bytesOf(root)).toBeLessThan(LIMIT_BYTES);
    expect(await readdir(join(root, 'opt/nodejs/node_modules'))).not.toContain('onnxruntime-node');
    expect(await readdir(join(root, 'var/task'))).not.toContain('node_modules');
  });

  it('hold nothing that an earlier bundle left', async () => {
    const code = join(folder.path, 'again');
    await mkdir(code);
    await writeFile(join(code, 'left.mjs'), '');
    await bundleFunctions(code);
    expect(await readdir(code)).not.toContain('left.mjs');
  });

  it('have the settings of the pipeline in a file, however many they are', async () => {
    const settings = await readFile(join(root, 'opt/sluice/settings.json'), 'utf8');
    expect(JSON.parse(settings)).toMatchObject(environment.pipeline);
  });

  it('hold the manifest of any model in models/, and refuse one from elsewhere', () => {
    for (const name of ['nsfw', './models/nsfw', 'models/nsfw/'])
      expect(packagedModel(name)).toBe(join(process.cwd(), 'models/nsfw'));
    for (const name of ['../nsfw', '/opt/nsfw', './nsfw/v2'])
      expect(() => packagedModel(name)).toThrow('expected a folder in models/');
  });

  it('plan and preprocess a job in a bare directory', async () => {
    const { works } = running.pipeline;
    await submitJob(
      {
        schema: 1,
        job: 'packaged',
        source: { kind: 'prefix', bucket: running.images, prefix: '' },
        filter: { include: [], exclude: [], suffixes: [] },
        incremental: false,
        submittedAt: new Date().toISOString(),
      },
      { works, jobs: await running.pipeline.queue('jobs') },
    );
    expect(await invoke('plan', await eventOf('jobs'))).toEqual({ batchItemFailures: [] });
    expect(await invoke('preprocess', await eventOf('shards'))).toEqual({ batchItemFailures: [] });
    expect((await (await running.pipeline.queue('bulk')).depth()).waiting).toBe(2);
    await running.startWorkerHere();
    while ((await works.list({ prefix: partPrefix('packaged', 'quality') })).objects.length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(await invoke('finalize', {})).toMatchObject({ completed: ['packaged'], deadLetters: 0 });
  });

  it('ingest a new object in a bare directory', async () => {
    running.aws.notify(running.images, running.pipeline.config.queues.events);
    await running.pipeline
      .bucket(running.images)
      .put('new.jpg', (await running.pipeline.bucket(running.images).get('1.jpg')).body);
    expect(await invoke('ingest', await eventOf('events'))).toEqual({ batchItemFailures: [] });
    const prefix = partPrefix(liveJob(new Date().toISOString()), 'quality');
    while ((await running.pipeline.works.list({ prefix })).objects.length < 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
});

async function bytesOf(path: string): Promise<number> {
  const info = await stat(path);
  if (!info.isDirectory()) return info.size;
  const sizes = await Promise.all((await readdir(path)).map((name) => bytesOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
