import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { FolderStore } from '#adapters/folder-store.ts';
import { gpus } from '#adapters/gpu-machine.ts';
import { jsonLog } from '#adapters/json-log.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { loadWorkerEngine, type WorkerEngineOptions } from '#cli/worker-engine.ts';
import { PipelineConfig } from '#core/pipeline-config.ts';
import { sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const model = await loadModel('quality');

/** A machine on which no GPU library and no driver is to be found, whatever this one has. */
const BARE = { LD_LIBRARY_PATH: '/none' };

async function load(providers: WorkerEngineOptions['config']['providers']) {
  await using folder = await temporaryFolder();
  const lines: string[] = [];
  const engine = await loadWorkerEngine(model, {
    config: PipelineConfig.shape.worker.parse({ providers }),
    threads: 1,
    deviceId: 0,
    trtexec: 'trtexec',
    works: new FolderStore(folder.path),
    log: jsonLog({}, (line) => void lines.push(line)),
    env: BARE,
  });
  await engine[Symbol.asyncDispose]();
  return { provider: engine.provider, lines };
}

const hasGpu = await gpus().then(
  () => true,
  () => false,
);

describe.skipIf(hasGpu)("a worker's engine, on a machine without a GPU", () => {
  it('is the first of its providers that works, and the log says why the others do not', async () => {
    const { provider, lines } = await load(['tensorrt', 'cuda', 'cpu']);
    expect(provider).toBe('cpu');
    const warnings = lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 'WARN');
    expect(warnings.map((warning) => warning.provider)).toEqual(['tensorrt', 'cuda']);
    for (const { reason } of warnings) expect(reason).not.toBe('');
  });

  it('is never one that is not in the list', async () => {
    await expect(load(['cuda'])).rejects.toMatchObject({
      code: 'engine-unavailable',
      message: expect.stringMatching(/none of the providers cuda works here.*doctor/),
    });
  });
});

describe('sluice doctor', () => {
  it("is not content with ONNX Runtime's providers in a folder where it does not look for them", async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'libonnxruntime_providers_cuda.so'), '');
    vi.stubEnv('LD_LIBRARY_PATH', folder.path);
    const { stdout } = await sluice('doctor', '--provider', 'cuda', '--json').result;
    vi.unstubAllEnvs();
    expect(stdout).not.toContain(folder.path);
  });

  it('is content with a machine that runs models on its processor, and says what a GPU would need', async () => {
    const { exitCode, stdout } = await sluice('doctor').result;
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/ok\s+inference on cpu\s+one image in [\d.]+ ms/);
    expect(stdout).toMatch(/libcudnn\.so\.9/);
  });

  it('fails where what is asked for is missing, and says what to install', async () => {
    const { exitCode, stdout } = await sluice('doctor', '--provider', 'tensorrt', '--json').result;
    const { findings } = JSON.parse(stdout) as { findings: { what: string; ok?: boolean; detail: string }[] };
    const found = Object.fromEntries(findings.map((finding) => [finding.what, finding]));
    // On a machine that has it all this is another answer, and as right.
    const isMissing = found['libnvinfer.so.10']?.ok === false;
    expect(exitCode).toBe(isMissing || found['GPU']?.ok === false ? 1 : 0);
    if (isMissing) expect(found['libnvinfer.so.10']?.detail).toMatch(/install TensorRT 10/);
    // It is tried, not only looked for.
    if (isMissing) expect(found['inference on tensorrt']?.ok).toBe(false);
  });
});
