import { createRequire } from 'node:module';
import { messageOf } from '#core/error.ts';

/** NVIDIA's driver. It comes with every GPU machine, and into every container that is given a GPU. */
const LIBRARY = 'libcuda.so.1';

// Values of the CUDA driver API.
const SUCCESS = 0;
const CU_CTX_SCHED_BLOCKING_SYNC = 4;
const CU_MEMHOSTALLOC_PORTABLE = 1;

let opened: ReturnType<typeof openDriver> | undefined;
const pageLocked = new WeakSet<ArrayBufferLike>();

/**
 * Lets threads of this process that wait for the GPU sleep. By default each asks again and again, and holds a processor core
 * that has packs to read: CUDA does so wherever there are more cores than GPU contexts. To be called before a session is
 * loaded.
 *
 * @throws Error where there is no driver, or it refuses.
 */
export function sleepWhileWaiting(deviceId: number): void {
  const { cuDevicePrimaryCtxSetFlags } = driver();
  check(
    'cuDevicePrimaryCtxSetFlags',
    cuDevicePrimaryCtxSetFlags(deviceOf(deviceId), CU_CTX_SCHED_BLOCKING_SYNC),
  );
}

/**
 * Page-locked memory: the GPU copies from it by itself, and while it computes; what lies elsewhere a processor core has to
 * copy first. It is held until the process ends.
 *
 * @throws Error where there is no driver, or no memory.
 */
export function pageLockedMemory(deviceId: number, bytes: number): Uint8Array<ArrayBuffer> {
  const { view, cuDevicePrimaryCtxRetain, cuCtxSetCurrent, cuMemHostAlloc } = driver();
  const context = [null];
  check('cuDevicePrimaryCtxRetain', cuDevicePrimaryCtxRetain(context, deviceOf(deviceId)));
  check('cuCtxSetCurrent', cuCtxSetCurrent(context[0]));
  const memory = [null];
  check('cuMemHostAlloc', cuMemHostAlloc(memory, bytes, CU_MEMHOSTALLOC_PORTABLE));
  const buffer = view(memory[0], bytes);
  pageLocked.add(buffer);
  return new Uint8Array(buffer);
}

/** Whether an array lies in memory that {@link pageLockedMemory} gave to this thread. */
export function isPageLocked({ buffer }: { readonly buffer: ArrayBufferLike }): boolean {
  return pageLocked.has(buffer);
}

function deviceOf(ordinal: number): number {
  const { cuInit, cuDeviceGet } = driver();
  check('cuInit', cuInit(0));
  const device = [0];
  check('cuDeviceGet', cuDeviceGet(device, ordinal));
  return device[0] as number;
}

function driver(): ReturnType<typeof openDriver> {
  try {
    opened ??= openDriver();
    return opened;
  } catch (cause) {
    throw new Error(`${LIBRARY} cannot be loaded: ${messageOf(cause)}`, { cause });
  }
}

/** The functions of NVIDIA's driver that are used here, as cuda.h declares them. */
function openDriver() {
  // Loaded where there is a GPU, and nowhere else.
  const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
  const library = koffi.load(LIBRARY);
  return {
    view: (pointer: unknown, bytes: number): ArrayBuffer => koffi.view(pointer, bytes),
    cuInit: library.func('int cuInit(unsigned int flags)'),
    cuDeviceGet: library.func('int cuDeviceGet(_Out_ int *device, int ordinal)'),
    cuDevicePrimaryCtxSetFlags: library.func(
      'int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned int flags)',
    ),
    cuDevicePrimaryCtxRetain: library.func('int cuDevicePrimaryCtxRetain(_Out_ void **context, int device)'),
    cuCtxSetCurrent: library.func('int cuCtxSetCurrent(void *context)'),
    cuMemHostAlloc: library.func('int cuMemHostAlloc(_Out_ void **memory, size_t bytes, unsigned int flags)'),
  };
}

function check(call: string, result: number): void {
  if (result !== SUCCESS) throw new Error(`${call} of the CUDA driver failed with error ${result}`);
}
