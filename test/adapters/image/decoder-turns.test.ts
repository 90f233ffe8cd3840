import { setImmediate as turn } from 'node:timers/promises';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { DecoderTurns } from '#adapters/image/decoder-turns.ts';
import { preprocessImage } from '#adapters/image/preprocess-image.ts';
import { ImageLimits } from '#core/limits.ts';
import { TINY_SPEC } from '#test/support/tiny-spec.ts';

/** Work like libvips's: it fails with whatever was said last in the process. */
class SharedWords {
  underWay = 0;
  most = 0;
  #said = '';

  async work(words: string | undefined, turns: number): Promise<string> {
    this.most = Math.max(this.most, ++this.underWay);
    try {
      if (words !== undefined) this.#said = words;
      for (let i = 0; i < turns; i++) await turn();
      if (words !== undefined) throw new Error(this.#said);
      return 'done';
    } finally {
      this.underWay--;
    }
  }
}

const settled = (all: readonly Promise<string>[]): Promise<string[]> =>
  Promise.all(all.map((one) => one.catch((error: Error) => error.message)));

describe('decodings at the same time', () => {
  it('fail each with its own words, and all come to their end', async () => {
    const shared = new SharedWords();
    const turns = new DecoderTurns();
    const words = Array.from({ length: 30 }, (_, i) => (i % 3 === 0 ? undefined : `words of ${i}`));
    const told = await settled(words.map((own, i) => turns.run(() => shared.work(own, 1 + ((i * 7) % 5)))));
    expect(told).toEqual(words.map((own) => own ?? 'done'));
    expect(shared.most).toBe(30);
  });

  it('are done once where they succeed, or fail while nothing else is under way', async () => {
    const turns = new DecoderTurns();
    const shared = new SharedWords();
    let tries = 0;
    const counted = (words?: string) => (): Promise<string> => {
      tries++;
      return shared.work(words, 2);
    };
    await settled([turns.run(counted()), turns.run(counted()), turns.run(counted())]);
    await settled([turns.run(counted('alone'))]);
    expect(tries).toBe(4);
  });
});

describe('broken images at the same time', () => {
  it('are refused as each is by itself', async () => {
    const limits = ImageLimits.parse({});
    const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
    const picture = sharp({ create: { width: 320, height: 240, channels: 3, background: '#888', noise } });
    const jpeg = await picture.jpeg({ progressive: true }).toBuffer();
    const webp = await picture.webp().toBuffer();
    const png = await picture.png().toBuffer();
    const damaged = Buffer.from(png);
    damaged.fill(0x55, png.length >> 1, (png.length >> 1) + 400);
    const broken = [
      jpeg.subarray(0, jpeg.length >> 1),
      damaged,
      webp.subarray(0, webp.length >> 1),
      jpeg.subarray(0, jpeg.length - 40),
    ];
    const refused = async (bytes: Buffer): Promise<unknown> => {
      const outcome = await preprocessImage(bytes, TINY_SPEC, limits, new Uint8Array(8 * 8 * 3));
      return outcome.ok ? 'decoded' : outcome.refusal;
    };
    const alone: unknown[] = [];
    for (const bytes of broken) alone.push(await refused(bytes));
    const many = Array.from({ length: 60 }, (_, i) => i % broken.length);
    expect(await Promise.all(many.map((i) => refused(broken[i] as Buffer)))).toEqual(
      many.map((i) => alone[i]),
    );
    expect(new Set(alone.map((refusal) => JSON.stringify(refusal))).size).toBeGreaterThan(1);
  });
});
