import { chmod, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { cudaRuntimeVersion, gpus, onnxruntimeVersion, tensorrtVersion } from '#adapters/gpu-machine.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

/** Answers as the driver of a machine with two GPUs does. */
const FAKE_NVIDIA_SMI = `#!/bin/sh
case "$1" in
  --query-gpu=*) echo "Tesla T4, 7.5, 15360, 580.159.04"; echo "NVIDIA L4, 8.9, 23034, 580.159.04" ;;
  *) echo "| NVIDIA-SMI 580.159.04   Driver Version: 580.159.04   CUDA Version: 13.0 |" ;;
esac
`;

afterEach(() => vi.unstubAllEnvs());

describe('the GPUs of a machine', () => {
  it('are told by the driver', async () => {
    await using folder = await temporaryFolder();
    const command = join(folder.path, 'nvidia-smi');
    await writeFile(command, FAKE_NVIDIA_SMI);
    await chmod(command, 0o755);
    vi.stubEnv('PATH', `${folder.path}${delimiter}${process.env['PATH']}`);
    const shared = { driver: '580.159.04', cuda: '13.0' };
    expect(await gpus()).toEqual([
      { name: 'Tesla T4', computeCapability: '7.5', memoryMiB: 15360, ...shared },
      { name: 'NVIDIA L4', computeCapability: '8.9', memoryMiB: 23034, ...shared },
    ]);
  });

  it('are missed in words where there is no driver', async () => {
    await using folder = await temporaryFolder();
    vi.stubEnv('PATH', folder.path);
    await expect(gpus()).rejects.toMatchObject({
      code: 'engine-unavailable',
      message: expect.stringMatching(/nvidia-smi.*install the driver/),
    });
  });
});

describe('the version of TensorRT', () => {
  it('is that of the library that the linker finds', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'libnvinfer.so.10.15.1'), '');
    await symlink('libnvinfer.so.10.15.1', join(folder.path, 'libnvinfer.so.10'));
    expect(await tensorrtVersion({ LD_LIBRARY_PATH: `/none:${folder.path}` })).toBe('10.15.1');
  });

  it('is the build that the environment tells, which the file name leaves out', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'libnvinfer.so.10.14.1'), '');
    await symlink('libnvinfer.so.10.14.1', join(folder.path, 'libnvinfer.so.10'));
    const env = { LD_LIBRARY_PATH: folder.path, SLUICE_TENSORRT_VERSION: '10.14.1.48' };
    expect(await tensorrtVersion(env)).toBe('10.14.1.48');
  });

  it('is told by the environment where the file name does not tell, and asked for otherwise', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'libnvinfer.so.10'), '');
    const env = { LD_LIBRARY_PATH: folder.path };
    expect(await tensorrtVersion({ ...env, SLUICE_TENSORRT_VERSION: '10.6.0' })).toBe('10.6.0');
    await expect(tensorrtVersion(env)).rejects.toThrow(/SLUICE_TENSORRT_VERSION/);
    await expect(tensorrtVersion({ LD_LIBRARY_PATH: '/none' })).rejects.toThrow(
      /TensorRT is missing.*doctor/,
    );
  });
});

describe("the version of CUDA's runtime", () => {
  it('is that of the library, whatever the driver could run', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'libcudart.so.13.0.88'), '');
    await symlink('libcudart.so.13.0.88', join(folder.path, 'libcudart.so.13'));
    expect(await cudaRuntimeVersion({ LD_LIBRARY_PATH: folder.path })).toBe('13.0.88');
  });
});

describe('the version of ONNX Runtime', () => {
  it('is that of the installed package', async () => {
    expect(await onnxruntimeVersion()).toMatch(/^1\.\d+\.\d+$/);
  });
});
