import { loadStages } from '#adapters/load-stages.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { openPipeline } from '#adapters/pipeline.ts';
import { S3ObjectStore } from '#adapters/s3-store.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import type { Lease, MessageQueue } from '#core/ports/message-queue.ts';
import { rulesOf } from '#core/stages.ts';
import { plannedFollowing } from '#workers/follow-ups.ts';
import { HeldModels } from '#workers/held-models.ts';
import { InferenceWorker } from '#workers/inference-worker.ts';
import { runActions } from '#workers/verdict-actions.ts';

// A worker that kills itself at one step of its first commit (or of the first of the stage DIE_STAGE), named by DIE_AT:
// `<step>:<before|after>`.

const dieAt = process.env['DIE_AT'];
const dieStage = process.env['DIE_STAGE'] ?? '';
const at = (point: string): void => {
  if (point === dieAt) process.kill(process.pid, 'SIGKILL');
};

/** What is done by writing an object, by the first name of its key. */
const STEPS: Readonly<Record<string, string>> = { parts: 'part', shards: 'follow-ups', packs: 'cut' };

class DyingStore extends S3ObjectStore {
  override async put(...args: Parameters<S3ObjectStore['put']>): ReturnType<S3ObjectStore['put']> {
    const [key] = args;
    const step = STEPS[key.split('/')[0] ?? ''];
    const dies = step !== undefined && key.includes(`/${dieStage}`);
    if (dies) at(`${step}:before`);
    const outcome = await super.put(...args);
    if (dies) at(`${step}:after`);
    return outcome;
  }

  override async delete(...args: Parameters<S3ObjectStore['delete']>): Promise<void> {
    at('delete:before');
    await super.delete(...args);
    at('delete:after');
  }
}

function dyingQueue(queue: MessageQueue): MessageQueue {
  const dying = (lease: Lease): Lease => ({
    ...lease,
    ack: async () => {
      at('ack:before');
      await lease.ack();
      at('ack:after');
    },
  });
  return {
    visibilityMs: queue.visibilityMs,
    send: async (...args) => {
      at('send:before');
      await queue.send(...args);
      at('send:after');
    },
    depth: (...args) => queue.depth(...args),
    receive: async (options) => (await queue.receive(options)).map(dying),
  };
}

const pipeline = await openPipeline(undefined, process.env);
const stages = await loadStages(pipeline.config, loadModel);
const models = await HeldModels.load(stages, ({ modelPath }) =>
  OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 8 }),
);
const { manifest, name: stage } = stages.first;
const [shards, bulk] = await Promise.all([pipeline.queue('shards'), pipeline.queue('bulk')]);
const works = new DyingStore(pipeline.workLocation);
const worker = new InferenceWorker(
  { manifest, stage, softwareVersion: softwareVersion(), ...pipeline.config.worker },
  {
    works,
    bulk: dyingQueue(bulk),
    engine: models.first.engine,
    following: models.following,
    ...(stages.combined && {
      followUps: plannedFollowing(works, { shards: dyingQueue(shards), packs: dyingQueue(bulk) }),
    }),
    policyOf: async (_job, stage) => rulesOf(stages).cascade?.stages[stage] ?? manifest.policy,
    act: async (message, records) => {
      at('act:before');
      await runActions(message, records, pipeline.config.actions, { openBucket: pipeline.bucket });
      at('act:after');
    },
  },
);
await worker.run(new AbortController().signal);
