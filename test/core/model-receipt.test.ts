import { describe, expect, it } from 'vitest';
import type { ModelManifest } from '#core/model-manifest.ts';
import { decodeHash, modelReceipt } from '#core/model-receipt.ts';
import { tinyManifest } from '#test/support/tiny-manifest.ts';

const detector = {
  head: { kind: 'nms-rows', output: 'boxes' },
  labels: ['face', 'hand'],
  minScore: 0.25,
  maxOverlap: 0.5,
  maxDetections: 10,
};
const scores = { name: 'scores', decode: 'softmax', labels: ['cat', 'dog'] };
const outputs = [scores, { name: 'boxes', decode: 'detector' }];

function manifest(change: object = {}): ModelManifest {
  return tinyManifest({ name: 'pets', sha256: 'a'.repeat(64), outputs, detector, ...change });
}

describe('the decode hash', () => {
  it.each([
    ['another threshold', { detector: { ...detector, minScore: 0.9 } }],
    ['another overlap', { detector: { ...detector, maxOverlap: 0.6 } }],
    ['fewer detections', { detector: { ...detector, maxDetections: 9 } }],
    ['other names for the objects', { detector: { ...detector, labels: ['head', 'hand'] } }],
    ['labels in another order', { outputs: [{ ...scores, labels: ['dog', 'cat'] }, outputs[1]] }],
    ['another activation', { outputs: [{ ...scores, decode: 'sigmoid' }, outputs[1]] }],
    ['only the best scores', { outputs: [{ ...scores, topK: 1 }, outputs[1]] }],
  ])('is another one with %s', (_, change) => {
    expect(decodeHash(manifest(change))).not.toBe(decodeHash(manifest()));
  });

  it.each([
    ['another policy', { policy: { rules: [], oddSizeIqrs: 9 } }],
    ['another description', { description: 'of pets' }],
    ['smaller batches', { maxBatch: 1 }],
  ])('is the same with %s', (_, change) => {
    expect(decodeHash(manifest(change))).toBe(decodeHash(manifest()));
  });
});

describe('the receipt of a model', () => {
  it('names the file that was imported beside the one that runs', () => {
    const prepared = {
      originalSha256: 'b'.repeat(64),
      input: 'x',
      dtype: 'float32',
      layout: 'nchw',
      channelOrder: 'rgb',
      scale: 1,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    };
    expect(modelReceipt(manifest({ prepared }))).toMatchObject({
      modelSha256: 'a'.repeat(64),
      originalSha256: 'b'.repeat(64),
    });
    expect(modelReceipt(manifest()).originalSha256).toBe('a'.repeat(64));
  });
});
