import { execFile } from 'node:child_process';
import { readdir, readFile, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { SluiceError } from '#core/error.ts';

/** One GPU, as the driver tells. */
export interface Gpu {
  readonly name: string;
  /** As "7.5" for a T4. */
  readonly computeCapability: string;
  readonly memoryMiB: number;
  readonly driver: string;
  /** The highest CUDA version that the driver runs. */
  readonly cuda: string;
}

const run = promisify(execFile);
const TIMEOUT_MS = 20_000;
const LINKER_FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/local/cuda/lib64', '/usr/lib'];

/** The machine's GPUs. @throws SluiceError `engine-unavailable` where there is no driver, and says so. */
export async function gpus(): Promise<Gpu[]> {
  const query = ['--query-gpu=name,compute_cap,memory.total,driver_version', '--format=csv,noheader,nounits'];
  try {
    const [{ stdout: rows }, { stdout: screen }] = await Promise.all([
      run('nvidia-smi', query, { timeout: TIMEOUT_MS }),
      run('nvidia-smi', [], { timeout: TIMEOUT_MS }),
    ]);
    const cuda = /CUDA Version:\s*([\d.]+)/.exec(screen)?.[1] ?? 'unknown';
    return rows
      .trim()
      .split('\n')
      .map((row) => row.split(',').map((cell) => cell.trim()))
      .map(([name = '', computeCapability = '', memory = '', driver = '']) => ({
        name,
        computeCapability,
        memoryMiB: Number(memory),
        driver,
        cuda,
      }));
  } catch (cause) {
    throw new SluiceError(
      'engine-unavailable',
      'no NVIDIA driver answers here: expected the command nvidia-smi to list a GPU; install the driver, or start the container with --gpus all',
      { cause },
    );
  }
}

/** Where the dynamic linker, or one of the other folders, has a library; `undefined` where neither has. */
export async function findLibrary(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
  others: readonly string[] = [],
): Promise<string | undefined> {
  const folders = [
    ...others,
    ...(env['LD_LIBRARY_PATH'] ?? '').split(':').filter(Boolean),
    ...LINKER_FOLDERS,
  ];
  for (const folder of folders) {
    const found = (await readdir(folder).catch(() => [])).find((file) => file === name);
    if (found !== undefined) return realpath(join(folder, found));
  }
  return fromLinkerCache(name);
}

/** Folders that /etc/ld.so.conf adds are in the linker's cache only. */
async function fromLinkerCache(name: string): Promise<string | undefined> {
  const { stdout } = await run('ldconfig', ['-p'], { timeout: TIMEOUT_MS }).catch(() => ({ stdout: '' }));
  const line = stdout.split('\n').find((one) => one.trim().startsWith(`${name} `));
  const path = line?.split('=>')[1]?.trim();
  return path === undefined ? undefined : realpath(path).catch(() => undefined);
}

/**
 * TensorRT's full version, which engines are bound to: from `SLUICE_TENSORRT_VERSION`, which an image sets that knows the build it
 * installed, else from the name of the library ("libnvinfer.so.10.15.1"), which leaves the build out.
 *
 * @throws SluiceError `engine-unavailable` where the library is missing, or nothing tells its version.
 */
export async function tensorrtVersion(env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const path = await findLibrary('libnvinfer.so.10', env);
  const told = env['SLUICE_TENSORRT_VERSION'];
  const version = told ?? /\.so\.(\d+\.\d+\.\d+.*)$/.exec(basename(path ?? ''))?.[1];
  if (path !== undefined && version !== undefined) return version;
  throw new SluiceError(
    'engine-unavailable',
    path === undefined
      ? 'TensorRT is missing: expected libnvinfer.so.10 in LD_LIBRARY_PATH or a system folder; "sluice doctor" lists what else is'
      : `nothing tells the version of "${path}": set SLUICE_TENSORRT_VERSION, such as 10.15.1`,
  );
}

/**
 * The version of CUDA's runtime library, as exactly as its file name tells: "13.0.88", or "13". The driver's is another one, and may
 * change under a fleet without any effect on its engines.
 */
export async function cudaRuntimeVersion(env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const path = await findLibrary('libcudart.so.13', env);
  return /\.so\.([\d.]+)$/.exec(basename(path ?? ''))?.[1] ?? 'none';
}

/** Where ONNX Runtime looks for its GPU providers: beside its own library. */
export function onnxruntimeFolder(): string {
  const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return join(dirname(manifest), 'bin', 'napi-v6', process.platform, process.arch);
}

/** The version of ONNX Runtime that is installed. */
export async function onnxruntimeVersion(): Promise<string> {
  const path = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return (JSON.parse(await readFile(path, 'utf8')) as { version: string }).version;
}
