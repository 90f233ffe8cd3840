import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { openPipeline } from '#adapters/pipeline.ts';
import { S3ObjectStore } from '#adapters/s3-store.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import type { Lease, MessageQueue } from '#core/ports/message-queue.ts';
import { InferenceWorker } from '#workers/inference-worker.ts';

// A worker that kills itself at one step of its first commit, named by DIE_AT: `<step>:<before|after>`.

const dieAt = process.env['DIE_AT'];
const at = (point: string): void => {
  if (point === dieAt) process.kill(process.pid, 'SIGKILL');
};

class DyingStore extends S3ObjectStore {
  override async put(...args: Parameters<S3ObjectStore['put']>): ReturnType<S3ObjectStore['put']> {
    const isPart = args[0].startsWith('parts/');
    if (isPart) at('part:before');
    const outcome = await super.put(...args);
    if (isPart) at('part:after');
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
    send: (...args) => queue.send(...args),
    depth: (...args) => queue.depth(...args),
    receive: async (options) => (await queue.receive(options)).map(dying),
  };
}

const pipeline = await openPipeline(undefined, process.env);
const model = await loadModel(pipeline.config.model);
const engine = await OnnxEngine.load({
  modelPath: model.modelPath,
  provider: 'cpu',
  threads: 1,
  maxBatch: 8,
});
const worker = new InferenceWorker(
  { manifest: model.manifest, softwareVersion: softwareVersion(), ...pipeline.config.worker },
  {
    works: new DyingStore(pipeline.workLocation),
    bulk: dyingQueue(await pipeline.queue('bulk')),
    engine,
    policyOf: async () => model.manifest.policy,
    act: async () => {
      at('act:before');
      at('act:after');
    },
  },
);
await worker.run(new AbortController().signal);
