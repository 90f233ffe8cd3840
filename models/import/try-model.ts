import { IsolatedEngine } from '#adapters/isolated-engine.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { Size } from '#core/geometry.ts';
import type { Tensor } from '#core/ports/engine.ts';

export type Outputs = Readonly<Record<string, Tensor>>;

const TRIAL_IMAGES = 3;

export interface TrialOptions extends Size {
  readonly modelPath: string;
  readonly input: string;
  readonly maxSecondsPerRun: number;
}

/** What ONNX Runtime says when it does not take a model, in words for the one who brings it. */
function loadTrouble(said: string): string {
  const [, operator, version] = /No Op registered for (\S+) with domain_version of (\d+)/.exec(said) ?? [];
  if (operator !== undefined)
    return `the model uses the operator "${operator}" (opset ${version}), which ONNX Runtime does not have: export it without custom operators`;
  const [, opset, newest] = /Opset (\d+) is under development[\s\S]*?is till opset (\d+)/.exec(said) ?? [];
  if (opset !== undefined)
    return `the model has opset ${opset}, and ONNX Runtime reads up to ${newest}: export it with an older opset`;
  // Without the paths of files that are only here for a moment.
  const reason = said
    .replace(/^[\s\S]*?Load model from \S+ failed:\s*/, '')
    .replace(/^\/\S+ [\s\S]*?\) (?=[A-Z])/, '');
  return `ONNX Runtime does not take the model: ${reason.trim()}`;
}

/** How far numbers of one image may differ with its place in a batch, as a share of the largest one of the output. */
const BATCH_TOLERANCE = 1e-3;

/**
 * Runs a prepared model on made-up pictures, each `images` at a time.
 *
 * @returns the outputs of each run.
 * @throws SluiceError `model-invalid` where the model cannot be loaded, fails, or does not end in time.
 */
export async function runTrials(
  options: TrialOptions,
  runs: readonly (readonly number[])[],
): Promise<Outputs[]> {
  const { modelPath, maxSecondsPerRun, input } = options;
  const largest = Math.max(...runs.map((run) => run.length));
  await using engine = await IsolatedEngine.load({
    modelPath,
    provider: 'cpu',
    threads: 1,
    maxBatch: largest,
    maxSecondsPerRun,
  }).catch((cause) => {
    throw new SluiceError('model-invalid', loadTrouble(messageOf(cause)), { cause });
  });
  const outputs: Outputs[] = [];
  for (const pictures of runs) {
    const data = Buffer.concat(pictures.map((seed) => madeUpPicture(options, seed)));
    const tensor: Tensor = {
      dtype: 'uint8',
      shape: [pictures.length, options.heightPx, options.widthPx, 3],
      data: new Uint8Array(data),
    };
    try {
      outputs.push(await engine.run({ [input]: tensor }));
    } catch (cause) {
      throw new SluiceError('model-invalid', `a trial run on ordinary pixels failed: ${messageOf(cause)}`, {
        cause,
      });
    }
  }
  return outputs;
}

/** What came of trying a batch: the outputs of its images alone, or what is wrong. */
type BatchTrial = { readonly alone: readonly Outputs[] } | { readonly trouble: string };

/** Tries whether a batch gives what its images give alone. */
export async function tryBatch(options: TrialOptions): Promise<BatchTrial> {
  const seeds = Array.from({ length: TRIAL_IMAGES }, (_, i) => i);
  let runs: Outputs[];
  try {
    runs = await runTrials(options, [...seeds.map((seed) => [seed]), seeds]);
  } catch (error) {
    const said = messageOf(error);
    const [, operator, node] = /running (\w+) node\. Name:'([^']*)'/.exec(said) ?? [];
    return {
      trouble:
        operator === undefined
          ? (said.split('\n')[0] as string)
          : `its node ${operator} "${node}" fails on several images`,
    };
  }
  const together = runs.at(-1) as Outputs;
  for (const [name, tensor] of Object.entries(together)) {
    if (tensor.shape[0] !== TRIAL_IMAGES)
      return { trouble: `output "${name}" of ${TRIAL_IMAGES} images has the shape [${tensor.shape}]` };
    const perImage = tensor.data.length / TRIAL_IMAGES;
    for (const seed of seeds) {
      const alone = (runs[seed] as Outputs)[name]?.data ?? new Float32Array();
      const inBatch = tensor.data.subarray(seed * perImage, (seed + 1) * perImage);
      if (alone.length !== perImage || !alike(alone as Float32Array, inBatch as Float32Array))
        return { trouble: `output "${name}" of an image depends on the other images of its batch` };
    }
  }
  return { alone: runs.slice(0, -1) };
}

function alike(a: Float32Array, b: Float32Array): boolean {
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < a.length; i++) {
    largest = Math.max(largest, Math.abs(a[i] as number));
    difference = Math.max(difference, Math.abs((a[i] as number) - (b[i] as number)));
  }
  // NaN is not for this check to find: it compares as alike.
  return !(difference > BATCH_TOLERANCE * Math.max(largest, 1e-3));
}

/** uint8 RGB: a gradient under a few boxes with some noise, another one for each seed. */
function madeUpPicture({ widthPx, heightPx }: Size, seed: number): Buffer {
  const pixels = Buffer.alloc(widthPx * heightPx * 3);
  let state = (seed + 1) * 2_654_435_761;
  for (let i = 0; i < pixels.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const x = Math.floor(i / 3) % widthPx;
    const y = Math.floor(i / 3 / widthPx);
    const box = (Math.floor((x * 5) / widthPx) * 67 + Math.floor((y * 5) / heightPx) * 131 + seed * 89) % 256;
    const slope = (255 * ((i % 3) + 1) * x) / (3 * widthPx);
    pixels[i] = Math.min(255, (box + slope) / 2 + (state >>> 28));
  }
  return pixels;
}
