import { describe, expect, it } from 'vitest';
import { DecodingRoom, type RoomGranted } from '#functions/preprocessing/decoding-room.ts';
import { RoomSeeker } from '#functions/preprocessing/room-seeker.ts';

/** Two processes that have two images in hand each share 800 bytes: 100 for each image, and 400 for large ones. */
function processes() {
  const room = new DecodingRoom(800, 4);
  const [a, b] = [0, 1].map(() => {
    const seeker = new RoomSeeker(room.shareBytes);
    const tenant = room.tenant((granted: RoomGranted) => seeker.onGranted(granted));
    const granted: number[] = [];
    const take = async (bytes: number): Promise<() => void> => {
      const leave = await seeker.take(bytes, (event) => tenant.onEvent(event));
      granted.push(bytes);
      return leave;
    };
    return { take, granted, tenant };
  });
  return [a!, b!] as const;
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe('the memory for decoded pictures', () => {
  it('is a share for each image in hand, and for larger ones what they wait for together', async () => {
    const [a, b] = processes();
    const leaves = [await a.take(100), await a.take(300), await b.take(100)];
    void b.take(200);
    void a.take(150);
    await settled();
    expect([a.granted, b.granted]).toEqual([[100, 300], [100]]);
    for (const leave of leaves) leave();
    await settled();
    expect([a.granted, b.granted]).toEqual([
      [100, 300, 150],
      [100, 200],
    ]);
  });

  it('lets a picture through alone that is larger than all of it', async () => {
    const [a, b] = processes();
    const leave = await a.take(5000);
    void b.take(101);
    await settled();
    expect(b.granted).toEqual([]);
    leave();
    await settled();
    expect(b.granted).toEqual([101]);
  });

  it('is free again of what a process held, or waited for, that died', async () => {
    const [a, b] = processes();
    await a.take(400);
    void a.take(350);
    void b.take(300);
    a.tenant[Symbol.dispose]();
    await settled();
    expect([a.granted, b.granted]).toEqual([[400], [300]]);
  });
});
