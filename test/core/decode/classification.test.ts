import { describe, expect, it } from 'vitest';
import { addScores, type Scores } from '#core/decode/classification.ts';
import type { ScoresOutput } from '#core/model-manifest.ts';
import type { Tensor } from '#core/ports/engine.ts';

const labels = ['cat', 'dog', 'fox'];

function decode(output: Omit<ScoresOutput, 'name' | 'labels'>, rows: number[][], shape?: number[]): Scores[] {
  const tensor: Tensor = {
    dtype: 'float32',
    shape: shape ?? [rows.length, 3],
    data: Float32Array.from(rows.flat()),
  };
  const scores = rows.map(() => ({}));
  addScores({ y: tensor }, { name: 'y', labels, ...output }, scores);
  return scores;
}

describe('decoding a classifier', () => {
  it('takes scores as they are', () => {
    expect(decode({ decode: 'scores' }, [[0.5, 0.25, 0.25]])).toEqual([{ cat: 0.5, dog: 0.25, fox: 0.25 }]);
  });

  it('turns logits of one right label into probabilities that add up to 1, also huge ones', () => {
    const [a, b] = decode({ decode: 'softmax' }, [
      [1, 2, 3],
      [5000, 4999, -9000],
    ]) as [Scores, Scores];
    const e = Math.E;
    const sum = e + e ** 2 + e ** 3;
    expect(a['dog']).toBeCloseTo(e ** 2 / sum, 12);
    expect(b['cat']).toBeCloseTo(e / (e + 1), 12);
    expect(b['fox']).toBe(0);
  });

  it('lets several labels hold at once with sigmoid', () => {
    const [scores] = decode({ decode: 'sigmoid' }, [[0, 100, -100]]);
    expect(scores?.['cat']).toBe(0.5);
    expect(scores?.['dog']).toBeCloseTo(1);
    expect(scores?.['fox']).toBeCloseTo(0);
  });

  it('keeps only the highest scores of each image with topK', () => {
    expect(
      decode({ decode: 'scores', topK: 2 }, [
        [1, 3, 2],
        [5, 5, 5],
      ]),
    ).toEqual([
      { dog: 3, fox: 2 },
      { cat: 5, dog: 5 },
    ]);
  });

  it('takes trailing dimensions of 1, as global pooling leaves them', () => {
    expect(decode({ decode: 'scores' }, [[1, 2, 3]], [1, 3, 1, 1])).toEqual([{ cat: 1, dog: 2, fox: 3 }]);
  });

  it.each([Number.NaN, Infinity])('refuses %f as a score, naming label and image', (bad) => {
    expect(() =>
      decode({ decode: 'softmax' }, [
        [1, 2, 3],
        [1, bad, 3],
      ]),
    ).toThrow(/"dog" of image 1/);
  });

  it('refuses an output of another shape', () => {
    expect(() => decode({ decode: 'scores' }, [[1, 2, 3]], [3, 1])).toThrow(
      /expected output "y" as float32 \[1, 3\]/,
    );
  });
});
