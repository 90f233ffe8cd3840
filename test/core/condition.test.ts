import { expect, test } from 'vitest';
import { Condition } from '#core/condition.ts';

async function isOver(waiting: Promise<void>): Promise<boolean> {
  const notYet = Symbol();
  // Settled promises win against one that settles some microtasks later.
  const later = Promise.resolve().then(() => Promise.resolve(notYet));
  return (await Promise.race([waiting, later])) !== notYet;
}

test('all who wait are told once, and who waits later waits for the next time', async () => {
  const condition = new Condition();
  const early = [condition.wait(), condition.wait()];
  expect(await isOver(early[0] as Promise<void>)).toBe(false);
  condition.notifyAll();
  await Promise.all(early);
  const late = condition.wait();
  expect(await isOver(late)).toBe(false);
  condition.notifyAll();
  await late;
});

test('nobody waits longer than was said', async () => {
  await new Condition().wait({ withinMs: 1 });
});

test('nobody waits beyond an abort, before or while waiting', async () => {
  const condition = new Condition();
  await condition.wait({ signal: AbortSignal.abort() });
  const stop = new AbortController();
  const waiting = condition.wait({ signal: stop.signal });
  expect(await isOver(waiting)).toBe(false);
  stop.abort();
  await waiting;
});
