import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Cascade } from '#core/cascade.ts';

const problemsOf = (...stages: object[]): string => {
  const parsed = Cascade.safeParse({ stages });
  return parsed.success ? '' : z.prettifyError(parsed.error);
};
const faces = { name: 'faces', model: 'ultraface' };
const from = { stage: 'faces', boxes: {} };

describe('a cascade', () => {
  it('is a list of stages, each after the one that it follows on', () => {
    const whole = {
      name: 'age',
      model: 'age',
      from: { stage: 'faces', boxes: { labels: ['face'], margin: 0.2 } },
    };
    const sure = {
      name: 'sure',
      model: 'large',
      from: { stage: 'age', images: { when: { measure: 'adult', above: 0.2, below: 0.8 } } },
    };
    expect(problemsOf(faces, whole, sure)).toBe('');
  });

  it('has any number of stages that see all images, wherever they stand', () => {
    const content = { name: 'content', model: 'nsfwjs' };
    const all = { name: 'all', model: 'quality' };
    expect(problemsOf(faces, content, { name: 'age', model: 'age', from }, all)).toBe('');
  });

  it.each([
    [
      'no stage of that name',
      [faces, { name: 'b', model: 'm', from: { ...from, stage: 'hands' } }],
      /there is no stage "hands"/,
    ],
    [
      'a stage that follows on itself',
      [faces, { name: 'b', model: 'm', from: { ...from, stage: 'b' } }],
      /cannot follow on itself/,
    ],
    [
      'stages that wait for each other',
      [
        faces,
        { name: 'b', model: 'm', from: { ...from, stage: 'c' } },
        { name: 'c', model: 'm', from: { ...from, stage: 'b' } },
      ],
      /"c" comes later: stages stand in the order/,
    ],
    ['two stages of one name', [faces, { name: 'faces', model: 'm', from }], /two stages "faces"/],
    ['a first stage that follows', [{ ...faces, from }], /first stage sees all images/],
    [
      'boxes and images at once',
      [faces, { name: 'b', model: 'm', from: { ...from, images: { when: { measure: 'x', above: 1 } } } }],
      /either "boxes" or "images"/,
    ],
    [
      'a negative margin',
      [faces, { name: 'b', model: 'm', from: { stage: 'faces', boxes: { margin: -1 } } }],
      /stages\[1\].from.boxes.margin/,
    ],
  ])('refuses %s, and says why', (_, stages, expected) => {
    expect(problemsOf(...stages)).toMatch(expected);
  });
});
