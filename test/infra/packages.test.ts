import { spawn } from 'node:child_process';
import { cp, mkdir, readdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { partPrefix } from '#core/job-layout.ts';
import { liveJob } from '#functions/live/live-job.ts';
import { submitJob } from '#functions/planning/submit-job.ts';
import { bundleFunctions, LAYER_PACKAGES, packagedModel } from '#infra/packages/bundle-functions.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const LIMIT_BYTES = 100 * 1000 * 1000;

/** What Lambda's runtime does: loads the handler, gives it an event, and waits for the answer. */
const RUNTIME = `
  const { handler } = await import(process.argv[1]);
  for await (const line of process.stdin) {
    const answer = await handler(JSON.parse(line), { getRemainingTimeInMillis: () => 60_000 });
    process.stdout.write('ANSWER ' + JSON.stringify(answer) + '\\n');
  }`;

describe('the packages of the functions', () => {
  let running: RunningPipeline;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let root: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    root = join(folder.path, 'package');
    await bundleFunctions(root);
    // The layer, as it is for this machine's processor.
    for (const name of await withDependencies(LAYER_PACKAGES))
      await copyPackage(name, join(root, 'node_modules'));
    running = await RunningPipeline.start({ config: { packSize: 4, shardSize: 8 } });
    const create = { width: 50, height: 50, channels: 3, background: '#17a' } as const;
    const bytes = await sharp({ create }).jpeg().toBuffer();
    for (let i = 0; i < 8; i++) running.aws.objects.putObject(running.images, `${i}.jpg`, bytes);
  }, 120_000);
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  /** Starts a function in its bare directory, and gives it one event. */
  async function invoke(name: string, event: object): Promise<unknown> {
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', RUNTIME, join(root, 'functions', `${name}.mjs`)],
      {
        cwd: root,
        env: {
          ...running.aws.env,
          PATH: process.env['PATH'],
          SLUICE_PIPELINE: JSON.stringify(running.pipeline.config),
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
    expect(await readdir(join(root, 'node_modules'))).not.toContain('onnxruntime-node');
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
  }, 60_000);

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
  }, 60_000);
});

const require = createRequire(import.meta.url);

/** The folder of an installed package. */
function folderOf(name: string): string {
  return join(process.cwd(), 'node_modules', name);
}

async function withDependencies(names: readonly string[]): Promise<Set<string>> {
  const all = new Set<string>();
  const add = async (name: string): Promise<void> => {
    if (all.has(name) || (await stat(folderOf(name)).catch(() => undefined)) === undefined) return;
    all.add(name);
    const manifest = require(join(folderOf(name), 'package.json')) as Record<
      string,
      Record<string, string> | undefined
    >;
    const needed = { ...manifest['dependencies'], ...manifest['optionalDependencies'] };
    for (const dependency of Object.keys(needed)) await add(dependency);
  };
  for (const name of names) await add(name);
  return all;
}

async function copyPackage(name: string, into: string): Promise<void> {
  await mkdir(dirname(join(into, name)), { recursive: true });
  await cp(folderOf(name), join(into, name), { recursive: true });
}

async function bytesOf(path: string): Promise<number> {
  const info = await stat(path);
  if (!info.isDirectory()) return info.size;
  const sizes = await Promise.all((await readdir(path)).map((name) => bytesOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
