/** Where a process gets no processor at all, an image still comes to an end after so many times its seconds. */
const MOST_TIMES = 6;

/**
 * Calls `onLate` once an image has had its seconds: by the clock, and of the process's own processor time, so that what an image
 * comes to does not depend on what else the machine is doing. A decoder that waits for nothing that comes, and computes nothing, is late
 * after six times as long.
 *
 * @returns stops the clock.
 */
export function startDecodingClock(
  seconds: number,
  onLate: () => void,
  meters: { cpuSeconds(): number; clockSeconds(): number } = METERS,
): () => void {
  const cpuBefore = meters.cpuSeconds();
  const clockBefore = meters.clockSeconds();
  let timer: NodeJS.Timeout;
  const wait = (forSeconds: number): void => {
    timer = setTimeout(() => {
      const usedSeconds = meters.cpuSeconds() - cpuBefore;
      const clockSeconds = meters.clockSeconds() - clockBefore;
      if (usedSeconds >= seconds || clockSeconds >= seconds * MOST_TIMES) onLate();
      else wait(Math.max(0.05, Math.min(seconds - usedSeconds, seconds * MOST_TIMES - clockSeconds)));
    }, forSeconds * 1000);
  };
  wait(seconds);
  return () => clearTimeout(timer);
}

const METERS = {
  cpuSeconds: (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
  clockSeconds: (): number => performance.now() / 1000,
};
