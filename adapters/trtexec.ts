import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { SluiceError } from '#core/error.ts';

export interface TrtexecOptions {
  /** The command, by name or path. */
  readonly command: string;
  readonly onnxPath: string;
  readonly enginePath: string;
  /** The builder's measurements, kept from one build to the next. */
  readonly timingCachePath?: string;
  /** Shapes of every input with the batch as first dimension, by profile. */
  readonly shapes: Readonly<Record<'min' | 'opt' | 'max', Readonly<Record<string, readonly number[]>>>>;
  readonly flags: readonly string[];
  /** Ends the command. */
  readonly signal?: AbortSignal;
  onLine?(line: string): void;
}

/** Lines of the end of its output that an error quotes. */
const QUOTED_LINES = 8;

/**
 * Builds an engine with TensorRT's own command. Networks are strongly typed: the precision is the graph's.
 *
 * @throws SluiceError `engine-unavailable` where there is no such command, `model-invalid` where the build fails, with
 * what TensorRT said.
 */
export async function buildWithTrtexec(options: TrtexecOptions): Promise<void> {
  const { command, onnxPath, enginePath, timingCachePath, shapes, flags, signal, onLine } = options;
  if (timingCachePath !== undefined) await mkdir(dirname(timingCachePath), { recursive: true });
  const profile = (['min', 'opt', 'max'] as const).map((which) => {
    const inputs = Object.entries(shapes[which]).map(([name, shape]) => `${name}:${shape.join('x')}`);
    return `--${which}Shapes=${inputs.join(',')}`;
  });
  const child = spawn(
    command,
    [
      `--onnx=${onnxPath}`,
      `--saveEngine=${enginePath}`,
      '--stronglyTyped',
      ...profile,
      ...(timingCachePath === undefined ? [] : [`--timingCacheFile=${timingCachePath}`]),
      '--skipInference',
      ...flags,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], ...(signal && { signal, killSignal: 'SIGKILL' }) },
  );
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      said.push(line);
      if (said.length > 200) said.shift();
      onLine?.(line);
    });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', (cause) =>
      reject(
        signal?.aborted === true
          ? cause
          : new SluiceError(
              'engine-unavailable',
              `"${command}" cannot be started: expected TensorRT's trtexec on the PATH, or its path in --trtexec`,
              { cause },
            ),
      ),
    );
    child.on('close', resolve);
  });
  if (exitCode === 0) return;
  const errors = said.filter((line) => line.includes('[E]'));
  const quoted = (errors.length > 0 ? errors : said).slice(-QUOTED_LINES).join('\n');
  throw new SluiceError('model-invalid', `TensorRT could not build the engine:\n${quoted}`);
}
