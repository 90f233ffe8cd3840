/**
 * Waits for work, but once `stop` is aborted no longer than `limitMs`.
 *
 * @returns whether the work was finished.
 */
export async function withinDrain(
  work: Promise<unknown>,
  stop: AbortSignal,
  limitMs: number,
): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  let start = (): void => undefined;
  const overrun = new Promise<false>((resolve) => {
    start = () => {
      timer = setTimeout(resolve, limitMs, false);
    };
    if (stop.aborted) start();
    else stop.addEventListener('abort', start, { once: true });
  });
  try {
    return await Promise.race([work.then(() => true), overrun]);
  } finally {
    stop.removeEventListener('abort', start);
    clearTimeout(timer);
  }
}
