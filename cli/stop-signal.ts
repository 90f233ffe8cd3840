import { EXIT } from './exit-codes.ts';

/**
 * Turns the first Ctrl-C (or SIGTERM) into an orderly end: `signal` is aborted, and what is under way is
 * finished. The second one ends the process at once; nothing is lost, since every part is written whole.
 */
export function stopOnSignals(say: (text: string) => void): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.stopped);
    say('stopping: finishing what is in hand (once more to stop at once)\n');
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
