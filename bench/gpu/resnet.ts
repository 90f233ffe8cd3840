import { GraphBuilder, type Value } from '#models/onnx/graph-builder.ts';

const CLASSES = 1000;
/** Blocks of the four stages by depth (He et al., "Deep Residual Learning", table 1). */
const BLOCKS = { 50: [3, 4, 6, 3], 152: [3, 8, 36, 3] } as const;
export type Depth = keyof typeof BLOCKS;
/** Channels and strides of the stages. */
const STAGES = [
  { width: 64, stride: 1 },
  { width: 128, stride: 2 },
  { width: 256, stride: 2 },
  { width: 512, stride: 2 },
] as const;
const EXPANSION = 4;

/**
 * ResNet-50 or -152 (v1.5: the stride is in the 3 × 3 convolutions) with batch normalization folded away and seeded weights: how
 * fast a model runs does not depend on their values. Input `pixels` uint8 `[N, 224, 224, 3]`, output `logits` float32
 * `[N, 1000]`.
 */
export function resnet(depth: Depth, seed = 1): Uint8Array {
  const g = new GraphBuilder(`resnet${depth}`, 17);
  const next = generator(seed);
  const pixels = g.input('pixels', 'uint8', ['N', 224, 224, 3]);
  const floats = g.node('Cast', [pixels], { to: 1 });
  const planes = g.node('Transpose', [floats], { perm: [0, 3, 1, 2] });
  const scaled = g.node('Mul', [planes, g.constant('float32', [1, 3, 1, 1], [1 / 58, 1 / 57, 1 / 57])]);
  const input = g.node('Add', [scaled, g.constant('float32', [1, 3, 1, 1], [-2.1, -2, -1.8])]);

  const conv = (x: Value, from: number, to: number, kernel: number, stride: number): Value => {
    const fanIn = from * kernel * kernel;
    const weights = Array.from({ length: to * fanIn }, () => (next() * 2 - 1) * Math.sqrt(3 / fanIn));
    const bias = Array.from({ length: to }, () => (next() - 0.5) * 0.1);
    const pad = (kernel - 1) / 2;
    return g.node(
      'Conv',
      [x, g.constant('float32', [to, from, kernel, kernel], weights), g.constant('float32', [to], bias)],
      { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad] },
    );
  };
  const relu = (x: Value): Value => g.node('Relu', [x]);

  let x = relu(conv(input, 3, 64, 7, 2));
  x = g.node('MaxPool', [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
  let channels = 64;
  for (const [stage, { width, stride }] of STAGES.entries()) {
    const out = width * EXPANSION;
    for (let block = 0; block < (BLOCKS[depth][stage] as number); block++) {
      const step = block === 0 ? stride : 1;
      const shortcut = block === 0 ? conv(x, channels, out, 1, step) : x;
      const branch = conv(
        relu(conv(relu(conv(x, channels, width, 1, 1)), width, width, 3, step)),
        width,
        out,
        1,
        1,
      );
      x = relu(g.node('Add', [branch, shortcut]));
      channels = out;
    }
  }
  const pooled = g.node('Flatten', [g.node('GlobalAveragePool', [x])], { axis: 1 });
  const weights = Array.from(
    { length: CLASSES * channels },
    () => (next() * 2 - 1) * Math.sqrt(3 / channels),
  );
  const classes = g.constant('float32', [channels, CLASSES], weights);
  g.output('logits', 'float32', ['N', CLASSES], g.node('MatMul', [pooled, classes]));
  return g.toBytes();
}

/** Mulberry32: uniform in [0, 1). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
