import { serveTasks } from '#adapters/task-process.ts';
import { noUsage } from '#core/usage.ts';
import type {
  PackProcessEvent,
  PackProcessResult,
  PackProcessSetup,
  PackProcessTask,
} from '#functions/preprocessing/pack-process.ts';

/**
 * Behaves like a decoding process on images that are not what they seem: a key that contains "crash" ends the
 * process, one that contains "stuck" is reported as stuck, "unstartable" ends it before any image.
 * `bytes` of the built pack is the number of images refused beforehand, `images` this process's id.
 */
serveTasks<PackProcessSetup, PackProcessTask, PackProcessEvent, PackProcessResult>(
  () => async (task, emit) => {
    if (task.kind !== 'pack') return { kind: 'thumbnail', jpeg: null, tainted: false, usage: noUsage() };
    const { refs, refused = {}, also = [] } = task.request;
    const stuck: number[] = [];
    for (const [index, { key }] of refs.entries()) {
      if (refused[index] !== undefined) continue;
      if (key.includes('unstartable')) process.exit(1);
      if (task.announceImages) emit({ startedImage: index });
      // Gives the event time to leave the process, as decoding would.
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (key.includes('crash')) process.kill(process.pid, 'SIGKILL');
      if (key.includes('store'))
        return {
          kind: 'failed',
          code: 'store-unavailable',
          message: 'no store',
          retryable: true,
          usage: noUsage(),
        };
      if (key.includes('stuck')) stuck.push(index);
    }
    if (stuck.length > 1) return { kind: 'stuck', images: stuck, usage: noUsage(), cpuMs: 0 };
    const detail = Object.keys(refused).length;
    const pack = { bytes: detail, images: process.pid, refused: detail };
    return {
      kind: 'built',
      pack: also.length === 0 ? pack : { ...pack, also: also.map(() => pack) },
      tainted: stuck.length > 0,
      cpuMs: 0,
    };
  },
);
