import { SluiceError } from '#core/error.ts';
import type { Prepared } from '#core/model-manifest.ts';
import { PreprocessSpec } from '#core/preprocess-spec.ts';
import type { ImageInput } from './inspect-graph.ts';
import { PRESETS } from './presets.ts';
import { mergeWishes, type ResizeWish, type Wishes } from './wishes.ts';

/** Asks a person; absent where nobody can be asked. */
export type Ask = (question: string, choices: readonly string[]) => Promise<string>;

export interface SettledInput {
  readonly tensor: Omit<Prepared, 'originalSha256'>;
  readonly preprocess: PreprocessSpec;
  /** The wishes with what a person answered. */
  readonly wishes: Wishes;
}

/**
 * How the pixels get into the model, from what the graph and the wishes tell.
 *
 * @throws SluiceError `config-invalid` where something is not told, naming the flag that tells it.
 */
export async function settleInput(input: ImageInput, told: Wishes, ask?: Ask): Promise<SettledInput> {
  let wishes = told;
  const isUint8 = input.dtype === 'uint8';
  const needsScale = !isUint8 && wishes.scale === undefined && wishes.mean === undefined;
  if (needsScale || wishes.resize === undefined) {
    const lacking = [
      ...(needsScale ? ['how pixels are scaled'] : []),
      ...(wishes.resize ? [] : ['how pictures are resized']),
    ];
    const names = Object.keys(PRESETS);
    const preset = await answer(
      ask,
      `The graph does not tell ${lacking.join(' and ')}. Which preset was it trained with?`,
      names,
      `pass --preset (${names.join(', ')})${needsScale ? ', or --scale, --mean and --std' : ''}${wishes.resize ? '' : ', or --resize'}`,
    );
    wishes = mergeWishes(wishes, PRESETS[preset] as Wishes);
  }
  if (isUint8 && (told.mean !== undefined || told.std !== undefined || told.scale !== undefined)) {
    // A preset or a config states them for the float model; this one has them inside.
    wishes = { ...wishes, scale: undefined, mean: undefined, std: undefined };
  }
  const layout = (wishes.layout ??
    input.layout ??
    (await answer(ask, 'Which layout has the input?', ['nchw', 'nhwc'], 'pass --layout'))) as 'nchw' | 'nhwc';
  if (input.layout !== undefined && layout !== input.layout)
    throw invalid(`the input is ${input.layout} by its shape, and --layout says ${layout}`);
  const sides = input.sidesOf(layout);
  const widthPx = side('wide', sides.widthPx, wishes.widthPx);
  const heightPx = side('high', sides.heightPx, wishes.heightPx);
  return {
    wishes,
    tensor: {
      input: input.name,
      dtype: input.dtype,
      layout,
      channelOrder: wishes.channelOrder ?? 'rgb',
      // A mean above 1 is one of levels, so they are not scaled to 0–1 first.
      scale: wishes.scale ?? (isUint8 || wishes.mean?.some((mean) => mean > 1) ? 1 : 1 / 255),
      mean: [...(wishes.mean ?? [0, 0, 0])],
      std: [...(wishes.std ?? [1, 1, 1])],
    },
    preprocess: PreprocessSpec.parse({
      widthPx,
      heightPx,
      resize: resizeOf(wishes.resize as ResizeWish, widthPx, heightPx),
      kernel: wishes.kernel ?? 'linear',
      fidelity: wishes.fidelity ?? 'faithful',
      // Training pipelines read the stored numbers: Pillow and OpenCV apply no profile.
      color: 'ignore-profile',
      background: [255, 255, 255],
    }),
  };
}

function side(which: string, ofGraph: number | undefined, told: number | undefined): number {
  if (ofGraph !== undefined && told !== undefined && ofGraph !== told)
    throw invalid(
      `the model's input is ${ofGraph} px ${which}, but ${told} px were asked for, by --input-size or the files beside it: leave the flag out, or export it for that size`,
    );
  const px = ofGraph ?? told;
  if (px !== undefined) return px;
  throw invalid('the model takes inputs of any size: pass --input-size, the size it was trained with');
}

function resizeOf(wish: ResizeWish, widthPx: number, heightPx: number): unknown {
  if (wish.mode === 'squash') return { mode: 'squash' };
  if (wish.mode === 'letterbox')
    return { mode: 'letterbox', pad: [wish.pad, wish.pad, wish.pad], align: wish.align, enlarge: true };
  const cropOffset = wish.cropOffset === undefined ? {} : { cropOffset: wish.cropOffset };
  if (wish.mode === 'squash-crop') {
    const { scaledWidthPx, scaledHeightPx } = wish;
    return { mode: 'squash+center-crop', scaledWidthPx, scaledHeightPx, ...cropOffset };
  }
  // timm's `scale_size = int(math.floor(img_size / crop_pct))`.
  const fromFraction = Math.floor(Math.min(widthPx, heightPx) / (wish.cropFraction ?? 0.875));
  const shorterSidePx = wish.shorterSidePx ?? fromFraction;
  return { mode: 'shorter-side+center-crop', shorterSidePx, ...cropOffset };
}

async function answer(
  ask: Ask | undefined,
  question: string,
  choices: readonly string[],
  otherwise: string,
): Promise<string> {
  if (ask === undefined) throw invalid(`${question} Nobody can be asked here: ${otherwise}`);
  const given = (await ask(question, choices)).trim();
  if (choices.includes(given)) return given;
  throw invalid(`expected one of ${choices.join(', ')}, got "${given}"`);
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
