import { ModelManifest } from '#core/model-manifest.ts';

/** The manifest of a model of a test that takes squashed pictures and gives one level, but for what is changed. */
export function tinyManifest(change: Readonly<Record<string, unknown>> = {}, sidePx = 2): ModelManifest {
  return ModelManifest.parse({
    schema: 1,
    name: 'mean',
    description: 'a few nodes',
    license: 'none',
    source: 'a test',
    file: 'model.onnx',
    sha256: '0'.repeat(64),
    preprocess: {
      widthPx: sidePx,
      heightPx: sidePx,
      resize: { mode: 'squash' },
      kernel: 'nearest',
      color: 'srgb',
      background: [0, 0, 0],
    },
    inputs: [{ name: 'images', from: 'pixels' }],
    outputs: [{ name: 'scores', decode: 'scores', labels: ['level'] }],
    policy: { rules: [] },
    ...change,
  });
}
