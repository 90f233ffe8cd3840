import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { createAwsClients } from '#adapters/aws-clients.ts';
import { FolderStore } from '#adapters/folder-store.ts';
import { jsonLog } from '#adapters/json-log.ts';
import { Pipeline } from '#adapters/pipeline.ts';
import { NODE_ARGUMENTS } from '#adapters/runtime.ts';
import { pipelineStatus } from '#cli/cloud/pipeline-status.ts';
import { statusLines } from '#cli/cloud/status-lines.ts';
import { writeDemoSamples } from '#cli/demo-samples.ts';
import { summaryTable } from '#cli/summary-table.ts';
import type { VerdictMessage } from '#core/messages.ts';
import { Summary } from '#core/summary.ts';
import { verifyJob } from '#functions/finalizing/verify-job.ts';
import { submitJob } from '#functions/planning/submit-job.ts';
import { runFunctions } from './functions.ts';
import { createPipeline } from './local-pipeline.ts';
import { type LocalAws, startLocalAws } from './server.ts';

const OUT = 'sluice-demo';
const JOB = 'demo';
const WORKERS = 2;
const VERDICT_WITHIN_MS = 60_000;

/** The demo over S3 and SQS: the same samples, the same table, and one new object on the live lane. */
async function main(): Promise<void> {
  const images = join(OUT, 'images');
  await rm(images, { recursive: true, force: true });
  const { files } = await writeDemoSamples(images);
  await using aws = await startLocalAws();
  Object.assign(process.env, aws.env);
  const { config, images: bucket } = await createPipeline(aws, {
    name: 'demo',
    config: {
      shardSize: 16,
      packSize: 8,
      actions: [{ on: ['pass', 'review', 'reject', 'unreadable'], tag: true, send: true }],
    },
  });
  const pipeline = new Pipeline(config, createAwsClients());
  say(`S3 and SQS answer at ${aws.endpoint}; ${files} sample images go into s3://${bucket}/`);
  const store = pipeline.bucket(bucket);
  const samples = new FolderStore(images);
  const { objects } = await samples.list();
  for (const { key } of objects) await store.put(key, (await samples.get(key)).body);

  const log: string[] = [];
  const stop = new AbortController();
  const functions = runFunctions(
    pipeline,
    {
      preprocessConcurrency: 4,
      processes: 2,
      finalizeEveryMs: 500,
      log: jsonLog({}, (line) => void log.push(line)),
    },
    stop.signal,
  );
  const workers = Array.from({ length: WORKERS }, () => startWorker(pipeline, log));
  try {
    say(`plan, ingest, preprocess and finalize run here; ${WORKERS} workers as processes ${pids(workers)}`);
    await backfill(pipeline, bucket);
    await liveImage(
      pipeline,
      aws,
      bucket,
      (await samples.get(objects.find(({ key }) => key.startsWith('landscapes/'))?.key ?? '')).body,
    );
    await showResults(pipeline);
  } catch (error) {
    process.stderr.write(log.slice(-30).join(''));
    throw error;
  } finally {
    for (const worker of workers) worker.kill('SIGTERM');
    await Promise.all(workers.map((worker) => worker.exitCode ?? once(worker, 'exit')));
    stop.abort();
    await functions;
  }
}

async function backfill(pipeline: Pipeline, bucket: string): Promise<void> {
  const { works } = pipeline;
  say(`\n$ sluice backfill s3://${bucket}/ --name ${JOB} --watch`);
  await submitJob(
    {
      schema: 1,
      job: JOB,
      source: { kind: 'prefix', bucket, prefix: '' },
      filter: { include: [], exclude: [], suffixes: [] },
      incremental: false,
      submittedAt: new Date().toISOString(),
    },
    { works, jobs: await pipeline.queue('jobs') },
  );
  for (;;) {
    const status = await pipelineStatus(JOB, pipeline);
    if (status?.state === 'broken') throw new Error(status.reason);
    if (status?.state === 'complete') {
      say(statusLines(status, undefined).join('\n'));
      return;
    }
    await sleep(200);
  }
}

async function liveImage(pipeline: Pipeline, aws: LocalAws, bucket: string, image: Buffer): Promise<void> {
  const key = 'uploads/new.jpg';
  aws.notify(bucket, pipeline.config.queues.events);
  say(`\na new object s3://${bucket}/${key}`);
  const startedMs = performance.now();
  await pipeline.bucket(bucket).put(key, image);
  while (performance.now() - startedMs < VERDICT_WITHIN_MS) {
    const { Messages = [] } = await pipeline.clients.sqs.send(
      new ReceiveMessageCommand({ QueueUrl: pipeline.config.queues.verdicts, WaitTimeSeconds: 5 }),
    );
    const [message] = Messages;
    if (message === undefined) continue;
    const { verdict, checks } = JSON.parse(message.Body ?? '') as VerdictMessage;
    const ms = Math.round(performance.now() - startedMs);
    say(
      `has its verdict after ${ms} ms: ${verdict} ${checks.join(' ')}; it is tagged, and a message was sent`,
    );
    return;
  }
  throw new Error('the new object never had a verdict');
}

async function showResults(pipeline: Pipeline): Promise<void> {
  const { works } = pipeline;
  const { completion, problems } = await verifyJob(JOB, works);
  if (problems.length > 0) throw new Error(`the results are not whole: ${problems.join('; ')}`);
  const summary = Summary.parse(
    JSON.parse((await works.get(`results/jobs/${JOB}/summary.json`)).body.toString('utf8')),
  );
  const out = join(OUT, 'aws');
  await mkdir(out, { recursive: true });
  const outputs = {
    audit: [completion.tables[0]?.key ?? '', 'audit.parquet'],
    summary: [summary.outputs['summary'] ?? '', 'summary.json'],
    report: [summary.outputs['report'] ?? '', 'report.html'],
  } as const;
  for (const [key, file] of Object.values(outputs))
    await writeFile(join(out, file), (await works.get(key)).body);
  const paths = Object.entries(outputs).map(([name, [, file]]) => [name, join(out, file)]);
  process.stdout.write(summaryTable(summary, Object.fromEntries(paths)));
  say(
    `\nverified: one row for each planned image, digest of the parts ${completion.parts.digest.slice(0, 16)}…`,
  );
}

function startWorker(pipeline: Pipeline, log: string[]): ChildProcess {
  const worker = spawn(process.execPath, [...NODE_ARGUMENTS, 'cli/main.ts', 'worker', '--threads', '1'], {
    env: { ...process.env, SLUICE_PIPELINE: JSON.stringify(pipeline.config) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  worker.stdout.on('data', (chunk: Buffer) => log.push(chunk.toString()));
  worker.stderr.on('data', (chunk: Buffer) => log.push(chunk.toString()));
  return worker;
}

function pids(workers: readonly ChildProcess[]): string {
  return workers.map(({ pid }) => pid).join(' and ');
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
