import { describe, expect, it } from 'vitest';
import { numberOf, rulesOfFlags, wishesOfFlags } from '#cli/models/import-flags.ts';

describe('the flags of import', () => {
  it('are read: fractions, triples, sizes, resize modes, lists of labels', async () => {
    const wishes = await wishesOfFlags({
      scale: '1/255',
      mean: '127',
      std: '0.1, 0.2,1/4',
      inputSize: '320x240',
      resize: 'letterbox-start:0',
      labels: 'cat,hot dog',
    });
    expect(wishes).toMatchObject({
      scale: 1 / 255,
      mean: [127, 127, 127],
      std: [0.1, 0.2, 0.25],
      widthPx: 320,
      heightPx: 240,
      resize: { mode: 'letterbox', pad: 0, align: 'start' },
      labels: ['cat', 'hot dog'],
    });
    expect(await wishesOfFlags({ resize: 'squash-crop:256' })).toMatchObject({
      resize: { mode: 'squash-crop', scaledWidthPx: 256, scaledHeightPx: 256 },
    });
    expect(await wishesOfFlags({ resize: 'squash-crop:320x256' })).toMatchObject({
      resize: { mode: 'squash-crop', scaledWidthPx: 320, scaledHeightPx: 256 },
    });
    expect(await wishesOfFlags({ resize: 'center-crop:256', inputSize: '224' })).toMatchObject({
      resize: { mode: 'center-crop', shorterSidePx: 256 },
      widthPx: 224,
      heightPx: 224,
    });
  });

  it.each([
    [{ scale: 'half' }, /--scale expects a number above 0, got "half"/],
    [{ mean: '1,2' }, /--mean expects one number or three/],
    [{ inputSize: '224px' }, /--input-size expects 224 or 320x240/],
    [{ resize: 'stretch' }, /--resize expects squash/],
    [{ scale: '0' }, /--scale expects a number above 0, got "0"/],
    [{ std: '0.2,0,0.2' }, /--std expects a number above 0, got "0"/],
    [{ topK: '0' }, /--top-k expects a whole number from 1 on, got "0"/],
    [{ topK: '2.5' }, /--top-k expects a whole number from 1 on, got "2\.5"/],
    [{ minScore: '1.5' }, /--min-score expects a number above 0 and up to 1, got "1\.5"/],
    [{ maxDetections: '0' }, /--max-detections expects a whole number from 1 to 1000, got "0"/],
    [{ inputSize: '9999' }, /--input-size expects a whole number from 1 to 4096, got "9999"/],
    [
      { resize: 'center-crop:9999' },
      /--resize center-crop expects a whole number from 1 to 4096, got "9999"/,
    ],
    [{ resize: 'letterbox:300' }, /--resize letterbox expects a whole number from 0 to 255, got "300"/],
    [{ resize: 'center-crop:256x256' }, /--resize expects squash/],
    [{ labels: 'no-such-file.txt' }, /there is no file "no-such-file.txt"/],
  ])('are refused with a reason: %j', async (flags, reason) => {
    await expect(wishesOfFlags(flags)).rejects.toThrow(reason);
  });

  it('are no numbers by being empty or divided by zero', () => {
    for (const text of ['', '1/0', '1/2/3'])
      expect(() => numberOf('--scale', text)).toThrow(/expects a number/);
  });

  it('become rules of the policy, the graver first', () => {
    expect(
      rulesOfFlags({ review: ['sexy above 0.7', 'neutral below 0.2'], reject: ['porn above 0.9'] }),
    ).toEqual([
      { check: 'porn', when: { measure: 'porn', above: 0.9 }, verdict: 'reject' },
      { check: 'sexy', when: { measure: 'sexy', above: 0.7 }, verdict: 'review' },
      { check: 'neutral', when: { measure: 'neutral', below: 0.2 }, verdict: 'review' },
    ]);
    expect(() => rulesOfFlags({ review: ['porn > 0.5'] })).toThrow(/expects a rule such as "porn above 0.5"/);
  });
});
