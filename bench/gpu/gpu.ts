import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderStore } from '#adapters/folder-store.ts';
import { gpus, onnxruntimeVersion, tensorrtVersion } from '#adapters/gpu-machine.ts';
import { messageOf } from '#core/error.ts';
import { EngineStore } from '#workers/engine/engine-store.ts';
import type { BenchResult } from '../support/bench.ts';
import { casesOf } from './cases.ts';
import { LiveResults } from './live-results.ts';
import { measureCase, WORKER_CORES } from './measure-case.ts';
import { pythonPeer } from './python-peer.ts';

/**
 * The worker, fed with packs over S3 and SQS on loopback, beside a loop that runs the same engine on batches in memory, and
 * beside a service that decodes and infers in one process, and PyTorch. On the processor cores of a g4dn.xlarge. Needs an NVIDIA GPU,
 * and TensorRT with its `trtexec`. Of the environment it reads
 *
 * - `SLUICE_BENCH_MODELS`: a folder of imported models that are measured too;
 * - `SLUICE_BENCH_PICTURES`: a folder of pictures whose scores on the GPU are compared with those in float32;
 * - `SLUICE_BENCH_ONLY`: parts of the names of what is measured, with `;` between them;
 * - `SLUICE_BENCH_RESULTS`: a file that gets each figure as a line of JSON as soon as it is measured;
 * - `SLUICE_ENGINES`: a folder that keeps engines from one run to the next.
 */
export async function gpuBench(): Promise<BenchResult[]> {
  try {
    const [gpu] = await gpus();
    const [tensorrt, onnxruntime] = [await tensorrtVersion(process.env), await onnxruntimeVersion()];
    console.error(
      `${gpu?.name}, compute capability ${gpu?.computeCapability}, driver ${gpu?.driver}, CUDA up to ${gpu?.cuda}, ` +
        `TensorRT ${tensorrt}, ONNX Runtime ${onnxruntime}, Node ${process.versions.node}`,
    );
  } catch (error) {
    console.error(`skipped: ${messageOf(error)}`);
    return [{ metric: 'GPUs found', value: 0, unit: 'GPUs' }];
  }
  keepOffTheWorkersCores();
  const env = process.env;
  const folder = await mkdtemp(join(tmpdir(), 'sluice-gpu-'));
  // Engines are kept where this names a folder, as they are in a fleet's bucket.
  const engines = new EngineStore(new FolderStore(env['SLUICE_ENGINES'] ?? join(folder, 'engines')));
  const results = new LiveResults(env['SLUICE_BENCH_RESULTS']);
  const only = (env['SLUICE_BENCH_ONLY'] ?? '').split(';');
  const isWanted = (name: string): boolean => only.some((part) => name.includes(part));
  const pictures = env['SLUICE_BENCH_PICTURES'];
  try {
    for (const one of await casesOf(env['SLUICE_BENCH_MODELS'])) {
      if (!isWanted(one.name)) continue;
      console.error(`${new Date().toISOString()} ${one.name}`);
      // One that cannot be measured leaves the figures of the others.
      await measureCase(one, { folder, engines, pictures, results }).catch((error) =>
        console.error(`${one.name} failed: ${messageOf(error)}`),
      );
    }
    if (isWanted('PyTorch')) results.add(...(await pythonPeer(`0-${WORKER_CORES - 1}`)));
    return results.all;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What makes requests and answers them as S3 and SQS do takes nothing of the cores that are measured. */
function keepOffTheWorkersCores(): void {
  if (cpus().length > WORKER_CORES)
    execFileSync('taskset', ['-a', '-c', '-p', `${WORKER_CORES}-${cpus().length - 1}`, String(process.pid)]);
}
