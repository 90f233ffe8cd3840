import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine, type OnnxProvider } from '#adapters/onnx-engine.ts';
import { readOutputs } from '#core/decode/read-outputs.ts';
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
const input = manifest.inputs[0]?.name as string;
const rowBytes = spec.widthPx * spec.heightPx * 3;
const limits = ImageLimits.parse({});
const provider = values.provider as OnnxProvider;
const threads = Number(values.threads);
const load = (): Promise<OnnxEngine> =>
  OnnxEngine.load({ modelPath: values.onnx, provider, threads, maxBatch });
// One after the other: two that load the TensorRT provider at the same time register its operators twice, which fails.
const sessions = [await load(), await load()];

interface Waiting {
  readonly row: Uint8Array;
  readonly source: { widthPx: number; heightPx: number };
  answer(result: string): void;
}
const waiting: Waiting[] = [];
let timer: NodeJS.Timeout | undefined;
let next = 0;

async function runWaiting(): Promise<void> {
  clearTimeout(timer);
  timer = undefined;
  const batch = waiting.splice(0, maxBatch);
  if (batch.length === 0) return;
  const engine = sessions[next++ % sessions.length] as OnnxEngine;
  const outputs = await engine.run({
    [input]: {
      dtype: 'uint8',
      shape: [batch.length, spec.heightPx, spec.widthPx, 3],
      data: batch.map(({ row }) => row),
    },
  });
  const results = readOutputs(
    outputs,
    manifest,
    batch.map(({ source }) => source),
  );
  for (const [i, { answer }] of batch.entries()) answer(JSON.stringify(results[i]));
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
  waiting.push({ row, source: outcome.image, answer: (result) => void response.end(result) });
  if (waiting.length >= maxBatch) void runWaiting();
  else timer ??= setTimeout(() => void runWaiting(), MAX_WAIT_MS);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${JSON.stringify({ port: typeof address === 'object' ? address?.port : 0 })}\n`);
});
