import type { Worker } from 'node:worker_threads';

let hung = 0;

/**
 * Leaves a thread to itself that hangs in native code. Nothing can end it: neither `terminate`, which waits until it
 * comes back, nor the end of the process, which waits for its threads. See {@link endIfHung}.
 */
export function abandon(thread: Worker): void {
  hung++;
  thread.unref();
  void thread.terminate();
}

/** Ends this process, where it could not end by itself, as SIGKILL does: call it when there is nothing left to be done. */
export function endIfHung(): void {
  if (hung > 0) process.kill(process.pid, 'SIGKILL');
}
