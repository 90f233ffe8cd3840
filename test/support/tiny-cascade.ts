import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { sha256Hex } from '#core/canonical-json.ts';
import { GraphBuilder, type Value } from '#models/onnx/graph-builder.ts';
import { tinyManifest } from './tiny-manifest.ts';
import { endlessModel, meansModel, OPSET, SIDE_PX } from './tiny-models.ts';

type Colour = readonly [number, number, number];

/** Pictures of this size, each half of one colour. */
export const WIDTH_PX = 64;
export const HEIGHT_PX = 48;
const HALF_PX = WIDTH_PX / 2;
/** The detector finds halves with at least so much red. */
const MIN_RED = 0.4;
/** The strict model's threshold, as a level. */
export const STRICT_RED = 190.5;
/** The last stage sees the pieces that are at least so red. */
const SURE_RED = 0.9;

export const NO_IMAGE = 5;

/** The red of both halves of the i-th picture. */
export function redOf(i: number): [left: number, right: number] {
  return [i % 2 === 0 ? 0 : 255 - i, i % 3 === 0 ? 200 : 0];
}

/** The files of the tiny cascade's images by name: lossless, and one that is no image. */
export async function tinyImages(count: number): Promise<ReadonlyMap<string, Buffer>> {
  const entries = Array.from({ length: count }, async (_, i): Promise<[string, Buffer]> => {
    const key = `${String(i).padStart(3, '0')}.png`;
    if (i === NO_IMAGE) return [key, Buffer.from('no image')];
    const [left, right] = redOf(i);
    return [key, await halves([left, 10 + i, 0], [right, 0, 99])];
  });
  return new Map(await Promise.all(entries));
}

/** Writes them into `photos` of a folder. @returns where they are, and the files. */
export async function writeTinyImages(
  folder: string,
  count: number,
): Promise<{ photos: string; images: ReadonlyMap<string, Buffer> }> {
  const photos = join(folder, 'photos');
  await mkdir(photos);
  const images = await tinyImages(count);
  for (const [key, bytes] of images) await writeFile(join(photos, key), bytes);
  return { photos, images };
}

/** What the cascade is to find in so many images: by stage, the name of each row and its red. */
export function expectedRows(count: number): { boxes: [string, number][]; sure: string[] } {
  const boxes: [string, number][] = [];
  const sure: string[] = [];
  for (let i = 0; i < count; i++) {
    if (i === NO_IMAGE) continue;
    const key = `${String(i).padStart(3, '0')}.png`;
    // A detector gives the best first.
    for (const [half, red] of [...redOf(i).entries()].sort((a, b) => b[1] - a[1])) {
      if (red / 255 < MIN_RED) continue;
      const name = `${key}#xywh=${half * HALF_PX},0,${HALF_PX},${HEIGHT_PX}`;
      boxes.push([name, red]);
      if (red / 255 > SURE_RED) sure.push(name);
    }
  }
  return { boxes, sure };
}

/** Writes the models and returns the cascade: red halves, the colours of each, and once more those of the reddest. */
export async function writeTinyCascade(folder: string): Promise<{
  stages: { name: string; model: string; from?: object }[];
  /** A model that sees what the second stage sees, and judges more strictly. */
  strict: string;
  verdict?: string;
  policy?: object;
}> {
  const halves = await writeModel(folder, 'halves', redHalves(), {
    outputs: [{ name: 'boxes', decode: 'detector' }],
    detector: {
      head: { kind: 'nms-rows', output: 'boxes' },
      labels: ['red'],
      minScore: MIN_RED,
      maxOverlap: 0.5,
      maxDetections: 10,
    },
  });
  const means = await writeModel(folder, 'means', meansModel({ dtype: 'uint8', layout: 'nhwc' }), {
    outputs: [{ name: 'y', decode: 'scores', labels: ['red', 'green', 'blue'] }],
    policy: {
      rules: [{ check: 'very_red', when: { measure: 'red', above: 255 * SURE_RED }, verdict: 'reject' }],
    },
  });
  const strict = await writeModel(folder, 'strict', meansModel({ dtype: 'uint8', layout: 'nhwc' }), {
    outputs: [{ name: 'y', decode: 'scores', labels: ['level_r', 'level_g', 'level_b'] }],
    policy: {
      rules: [{ check: 'red', when: { measure: 'level_r', above: STRICT_RED }, verdict: 'review' }],
    },
  });
  return {
    strict,
    stages: [
      { name: 'halves', model: halves },
      { name: 'colours', model: means, from: { stage: 'halves', boxes: { labels: ['red'] } } },
      {
        name: 'sure',
        model: means,
        from: { stage: 'colours', images: { when: { measure: 'red', above: 255 * SURE_RED } } },
      },
    ],
  };
}

/** Reds above this level are too much for the model of the stage `picky`. */
export const POISON_RED = 250;

interface HangingStage {
  readonly name: string;
  readonly model: string;
  readonly from: object;
}

/**
 * Writes models that hang, and returns their stages, which see what the stage `halves` finds: `stuck` hangs on everything,
 * `picky` on the reddest pieces.
 */
export async function writeHangingStages(
  folder: string,
): Promise<[stuck: HangingStage, picky: HangingStage]> {
  const change = { outputs: [{ name: 'y', decode: 'scores', labels: ['level_r', 'level_g', 'level_b'] }] };
  const from = { stage: 'halves', boxes: { labels: ['red'] } };
  const stuck = await writeModel(folder, 'stuck', endlessModel({ prepared: true }), change);
  const picky = endlessModel({ prepared: true, above: POISON_RED });
  return [
    { name: 'stuck', model: stuck, from },
    { name: 'picky', model: await writeModel(folder, 'picky', picky, change), from },
  ];
}

/** Rows of a left and a right half, each scored with the mean of its red. */
function redHalves(): Uint8Array {
  const g = new GraphBuilder('halves', OPSET);
  const x = g.cast(g.input('x', 'uint8', ['N', SIDE_PX, SIDE_PX, 3]), 'float32');
  const half = SIDE_PX / 2;
  const row = (from: number): Value => {
    const red = g.node('Slice', [x, g.ints(from, 0), g.ints(from + half, 1), g.ints(2, 3)]);
    const mean = g.node('ReduceMean', [red], { axes: [1, 2], keepdims: 0 });
    const score = g.node('Div', [mean, g.float(255)]);
    const zero = g.node('Mul', [score, g.float(0)]);
    const at = (value: number): Value => g.node('Add', [zero, g.float(value)]);
    const cells = [at(from), zero, at(from + half), at(SIDE_PX), score, zero];
    return g.node('Unsqueeze', [g.node('Concat', cells, { axis: 1 }), g.ints(1)]);
  };
  g.output('boxes', 'float32', ['N', 2, 6], g.node('Concat', [row(0), row(half)], { axis: 1 }));
  return g.toBytes();
}

async function writeModel(
  folder: string,
  name: string,
  bytes: Uint8Array,
  change: Readonly<Record<string, unknown>>,
): Promise<string> {
  const own = { name, sha256: sha256Hex(bytes), inputs: [{ name: 'x', from: 'pixels' }], ...change };
  const manifest = tinyManifest(own, SIDE_PX);
  const place = join(folder, name);
  await mkdir(place, { recursive: true });
  await writeFile(join(place, 'model.onnx'), bytes);
  await writeFile(join(place, 'model.json'), JSON.stringify(manifest));
  return place;
}

function halves(left: Colour, right: Colour): Promise<Buffer> {
  const pixels = Buffer.alloc(WIDTH_PX * HEIGHT_PX * 3);
  for (let i = 0; i < WIDTH_PX * HEIGHT_PX; i++) pixels.set(i % WIDTH_PX < HALF_PX ? left : right, 3 * i);
  return sharp(pixels, { raw: { width: WIDTH_PX, height: HEIGHT_PX, channels: 3 } })
    .png()
    .toBuffer();
}
