import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine, type OnnxProvider } from '#adapters/onnx-engine.ts';
import { ImageLimits } from '#core/limits.ts';

// The baseline: one service that decodes and infers what it is sent. Requests that come at about the same time share a
// batch, as in TF-Serving. Prints its port when it is ready.
const { values } = parseArgs({
  options: {
    model: { type: 'string', default: '' },
    onnx: { type: 'string', default: '' },
    provider: { type: 'string', default: 'tensorrt' },
    batch: { type: 'string', default: '8' },
    threads: { type: 'string', default: '4' },
  },
});
/** How long the first image of a batch waits for others. */
const MAX_WAIT_MS = 5;
const maxBatch = Number(values.batch);
const { manifest } = await loadModel(values.model);
const spec = manifest.preprocess;
const rowBytes = spec.widthPx * spec.heightPx * 3;
const limits = ImageLimits.parse({});
const provider = values.provider as OnnxProvider;
const threads = Number(values.threads);
const sessions = await Promise.all(
  [0, 1].map(() => OnnxEngine.load({ modelPath: values.onnx, provider, threads, maxBatch })),
);

interface Waiting {
  readonly row: Uint8Array;
  answer(best: number): void;
}
const waiting: Waiting[] = [];
let timer: NodeJS.Timeout | undefined;
let next = 0;

async function runWaiting(): Promise<void> {
  clearTimeout(timer);
  timer = undefined;
  const batch = waiting.splice(0, maxBatch);
  if (batch.length === 0) return;
  const data = Buffer.allocUnsafeSlow(batch.length * rowBytes);
  for (const [i, { row }] of batch.entries()) data.set(row, i * rowBytes);
  const engine = sessions[next++ % sessions.length] as OnnxEngine;
  const { logits } = await engine.run({
    pixels: { dtype: 'uint8', shape: [batch.length, spec.heightPx, spec.widthPx, 3], data },
  });
  const scores = logits?.data as Float32Array;
  const classes = scores.length / batch.length;
  for (const [i, { answer }] of batch.entries()) {
    const own = scores.subarray(i * classes, (i + 1) * classes);
    answer(own.indexOf(Math.max(...own)));
  }
}

const server = createServer(async (request, response) => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const row = new Uint8Array(rowBytes);
  const outcome = await preprocessImage(Buffer.concat(pieces), spec, limits, row);
  if (!outcome.ok) {
    response.writeHead(422).end();
    return;
  }
  waiting.push({ row, answer: (best) => void response.end(String(best)) });
  if (waiting.length >= maxBatch) void runWaiting();
  else timer ??= setTimeout(() => void runWaiting(), MAX_WAIT_MS);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${JSON.stringify({ port: typeof address === 'object' ? address?.port : 0 })}\n`);
});
