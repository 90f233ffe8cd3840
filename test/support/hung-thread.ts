import { endIfHung } from '#adapters/hung-threads.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { messageOf } from '#core/error.ts';
import { SIDE_PX } from './tiny-models.ts';

// A process with an engine whose thread hangs: it says what became of two runs, and ends.
const [modelPath = ''] = process.argv.slice(2);
const options = { modelPath, provider: 'cpu', threads: 1, maxBatch: 2, maxSecondsPerRun: 1 } as const;
{
  await using engine = await OnnxEngine.load(options);
  const run = async (): Promise<void> => {
    const data = new Uint8Array(2 * SIDE_PX * SIDE_PX * 3);
    await engine
      .run({ x: { dtype: 'uint8', shape: [2, SIDE_PX, SIDE_PX, 3], data } })
      .catch((error: unknown) => process.stdout.write(`${messageOf(error)}\n`));
  };
  await run();
  await run();
}
process.stdout.write('ending\n');
endIfHung();
