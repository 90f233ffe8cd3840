import { describe, expect, it } from 'vitest';
import { ScaleInProtection } from '#workers/scale-in-protection.ts';

describe('the protection of an instance from scale-in', () => {
  const watched = (fails: () => boolean = () => false) => {
    const asked: boolean[] = [];
    let nowMs = 0;
    const protection = new ScaleInProtection(
      async (isProtected) => {
        asked.push(isProtected);
        if (fails()) throw new Error('throttled');
      },
      () => nowMs,
    );
    const seconds = async (count: number, isBusy: boolean): Promise<void> => {
      for (let i = 0; i < count; i++, nowMs += 1000) {
        protection.tick(isBusy);
        await new Promise(setImmediate);
      }
    };
    return { asked, seconds };
  };

  it('begins with the first pack, and ends a minute after the last', async () => {
    const { asked, seconds } = watched();
    await seconds(10, false);
    expect(asked).toEqual([]);
    await seconds(30, true);
    await seconds(59, false);
    expect(asked).toEqual([true]);
    await seconds(5, false);
    expect(asked).toEqual([true, false]);
  });

  it('outlasts a pause between two packs', async () => {
    const { asked, seconds } = watched();
    for (let i = 0; i < 5; i++) {
      await seconds(5, true);
      await seconds(30, false);
    }
    expect(asked).toEqual([true]);
  });

  it('is asked for again where the request failed, and not every second', async () => {
    let failures = 2;
    const { asked, seconds } = watched(() => failures-- > 0);
    await seconds(60, true);
    expect(asked).toEqual([true, true, true]);
  });
});
