import { describe, expect, it } from 'vitest';
import { labelsFromPythonDict, parseLabels, scoreNamesOf } from '#models/import/labels.ts';
import { ultralyticsWishes } from '#models/import/ultralytics.ts';

describe('labels', () => {
  it('are read from lines, a JSON list or a JSON object', () => {
    const expected = ['cat', 'hot dog'];
    expect(parseLabels('cat\r\nhot dog\n', 'f')).toEqual(expected);
    expect(parseLabels('["cat", "hot dog"]', 'f')).toEqual(expected);
    expect(parseLabels('{"1": "hot dog", "0": "cat"}', 'f')).toEqual(expected);
  });

  it('are refused where one is missing', () => {
    expect(() => parseLabels('cat\n\ndog', 'f')).toThrow(/empty label/);
    expect(() => parseLabels('{"0": "cat", "2": "dog"}', 'f')).toThrow(/expected 0, 1, 2/);
    expect(() => parseLabels('{"0": "cat"', 'f')).toThrow(/begins like JSON/);
  });

  it('become names of scores: snake_case, of synonyms the first, each once', () => {
    expect(
      scoreNamesOf([
        'tench, Tinca tinca',
        'Crane',
        'crane',
        'Café crème',
        '3d model',
        '日本',
        "jack-o'-lantern",
      ]),
    ).toEqual(['tench', 'crane', 'crane_2', 'cafe_creme', 'class_3d_model', 'class_5', 'jack_o_lantern']);
  });

  it('are read from the dict that Ultralytics writes, with either quote', () => {
    expect(labelsFromPythonDict(`{0: 'person', 1: "driver's cab", 2: 'a\\'b'}`)).toEqual([
      'person',
      "driver's cab",
      "a'b",
    ]);
  });
});

describe('an export of Ultralytics', () => {
  const metadata = (task: string) =>
    new Map([
      ['author', 'Ultralytics'],
      ['task', task],
      ['imgsz', '[480, 640]'],
      ['names', "{0: 'cat', 1: 'dog'}"],
      ['license', 'AGPL-3.0 License (https://ultralytics.com/license)'],
    ]);

  it('tells labels, size and preprocessing of a detector', () => {
    expect(ultralyticsWishes(metadata('detect'))).toMatchObject({
      labels: ['cat', 'dog'],
      heightPx: 480,
      widthPx: 640,
      scale: 1 / 255,
      resize: { mode: 'letterbox', pad: 114, align: 'center' },
    });
  });

  it('tells that a classifier gives probabilities of a centre crop', () => {
    expect(ultralyticsWishes(metadata('classify'))).toMatchObject({
      decode: 'scores',
      resize: { mode: 'center-crop', cropFraction: 1 },
    });
  });

  it('is not seen in what others made', () => {
    expect(ultralyticsWishes(new Map([['task', 'detect']]))).toEqual({});
  });
});
