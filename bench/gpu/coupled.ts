import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { NODE_ARGUMENTS } from '#adapters/runtime.ts';
import { samplePhoto } from '../support/sample-photos.ts';
import { GpuUsage } from './gpu-usage.ts';

const SECONDS = 5;
const WARM_UP_SECONDS = 2;
const PHOTOS = 8;
/** Pictures as web shops and social networks serve them. */
const MEGAPIXELS = 0.2;

export interface CoupledOptions {
  readonly modelFolder: string;
  /** The ONNX file to run with batches of this size: an engine that is tuned for it. */
  readonly onnxPath: (batch: number) => Promise<string>;
  readonly provider: string;
  readonly batches: readonly number[];
  /** Of the service. The clients' requests come from this process, which has to be kept off them. */
  readonly cores: string;
  readonly onRun?: (run: CoupledRun) => void;
}

export interface CoupledRun {
  /** Images in a batch at most. */
  readonly batch: number;
  readonly imagesPerSecond: number;
  readonly gpuPercent: number;
}

/** Images a second of a service that decodes and infers in one process, at the batch size that suits it best. */
export async function coupledService(options: CoupledOptions): Promise<CoupledRun> {
  const photos = await Promise.all(
    Array.from({ length: PHOTOS }, (_, seed) => samplePhoto(MEGAPIXELS, seed)),
  );
  const runs: CoupledRun[] = [];
  for (const batch of options.batches) {
    const run = { batch, ...(await runWith(batch, photos, options)) };
    options.onRun?.(run);
    runs.push(run);
  }
  return runs.reduce((a, b) => (b.imagesPerSecond > a.imagesPerSecond ? b : a));
}

async function runWith(
  batch: number,
  photos: readonly Buffer[],
  { modelFolder, onnxPath, provider, cores }: CoupledOptions,
): Promise<{ imagesPerSecond: number; gpuPercent: number }> {
  const flags = [
    '--model',
    modelFolder,
    '--onnx',
    await onnxPath(batch),
    '--provider',
    provider,
    '--batch',
    String(batch),
  ];
  const node = [process.execPath, ...NODE_ARGUMENTS, 'bench/gpu/coupled-service.ts', ...flags];
  const service = spawn('taskset', ['-c', cores, ...node], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = (await once(createInterface({ input: service.stdout }), 'line')) as [string];
    const { port } = JSON.parse(line) as { port: number };
    const agent = new Agent({ keepAlive: true });
    using usage = new GpuUsage();
    const startedMs = performance.now();
    const countFrom = startedMs + 1000 * WARM_UP_SECONDS;
    const until = countFrom + 1000 * SECONDS;
    let images = 0;
    // Twice as many clients as a batch takes, so that the next one is being decoded.
    const clients = Math.max(16, 2 * batch);
    await Promise.all(
      Array.from({ length: clients }, async (_, client) => {
        for (let i = client; performance.now() < until; i++) {
          await post(port, agent, photos[i % photos.length] as Buffer);
          if (performance.now() >= countFrom && performance.now() < until) images++;
        }
      }),
    );
    return { imagesPerSecond: images / SECONDS, gpuPercent: usage.between(countFrom, until) };
  } finally {
    service.kill('SIGKILL');
  }
}

function post(port: number, agent: Agent, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method: 'POST', agent }, (response) => {
      response.resume();
      response.on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error('refused'))));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
