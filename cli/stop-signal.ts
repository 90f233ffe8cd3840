import { EXIT } from './exit-codes.ts';

/** What is in hand is done in seconds. Beyond this, something has gone wrong with it. */
const GRACE_MS = 60_000;

/**
 * Turns the first Ctrl-C (or SIGTERM) into an orderly end: `signal` is aborted, and what is under way is
 * finished. The second one ends the process at once, and so does the end of the grace; nothing is lost, since every part
 * is written whole.
 */
export function stopOnSignals(
  say: (text: string) => void,
  graceMs = GRACE_MS,
): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  let grace: NodeJS.Timeout | undefined;
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.stopped);
    say('stopping: finishing what is in hand (once more to stop at once)\n');
    controller.abort();
    grace = setTimeout(() => {
      say(`still not done after ${graceMs / 1000} s: ending here; what is written is kept\n`);
      process.exit(EXIT.stopped);
    }, graceMs).unref();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearTimeout(grace);
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
