import { stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import {
  cudaRuntimeVersion,
  findLibrary,
  gpus,
  onnxruntimeFolder,
  onnxruntimeVersion,
  tensorrtVersion,
} from '#adapters/gpu-machine.ts';
import { ONNX_PROVIDERS, type OnnxProvider } from '#adapters/onnx-engine.ts';
import { openPipeline } from '#adapters/pipeline.ts';
import { checkPermissions } from '#adapters/pipeline-permissions.ts';
import { messageOf } from '#core/error.ts';
import type { PipelineRole } from '#core/pipeline-roles.ts';
import { tryInference } from './doctor-inference.ts';
import { EXIT } from './exit-codes.ts';

type Env = Readonly<Record<string, string | undefined>>;

interface Finding {
  readonly what: string;
  /** `undefined`: not needed for what was asked. */
  readonly ok: boolean | undefined;
  readonly detail: string;
}

const PROVIDERS = "ONNX Runtime's providers for GPUs, of the same version (docs/gpu.md),";
/** What CUDA 13 needs. */
const LEAST_DRIVER = 580;

/** The libraries that ONNX Runtime's GPU providers load, and what brings them. */
const LIBRARIES: readonly (readonly [file: string, from: string])[] = [
  ['libonnxruntime_providers_shared.so', PROVIDERS],
  ['libonnxruntime_providers_cuda.so', PROVIDERS],
  ['libonnxruntime_providers_tensorrt.so', PROVIDERS],
  ['libcudart.so.13', 'CUDA 13 (package cuda-cudart-13-0)'],
  ['libcublas.so.13', 'CUDA 13 (package libcublas-13-0)'],
  ['libcublasLt.so.13', 'CUDA 13 (package libcublas-13-0)'],
  ['libcurand.so.10', 'CUDA 13 (package libcurand-13-0)'],
  ['libcudnn.so.9', 'cuDNN 9 for CUDA 13'],
  ['libnvinfer.so.10', 'TensorRT 10'],
  ['libnvonnxparser.so.10', 'TensorRT 10'],
];

/**
 * `sluice doctor`: what of this machine and this pipeline is there, what is missing, and what to do about it.
 *
 * @returns 0 where all that was asked for works, else 1.
 */
export async function doctor(
  flags: { pipeline?: string; provider: string[]; as: string[]; json?: boolean },
  env: Env,
): Promise<number> {
  const wanted = flags.provider as OnnxProvider[];
  const findings: Finding[] = [
    { what: 'Node', ok: true, detail: process.versions.node },
    { what: 'ONNX Runtime', ok: true, detail: await onnxruntimeVersion() },
    ...(await gpuFindings(wanted, env)),
    ...(await Promise.all(ONNX_PROVIDERS.map((provider) => tryProvider(provider, wanted, env)))),
    ...(flags.pipeline === undefined && env['SLUICE_PIPELINE'] === undefined
      ? []
      : await pipelineFindings(flags.pipeline, flags.as as PipelineRole[], env)),
  ];
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ findings })}\n`);
  else for (const finding of findings) process.stdout.write(line(finding));
  return findings.every(({ ok }) => ok !== false) ? EXIT.ok : EXIT.error;
}

function line({ what, ok, detail }: Finding): string {
  const mark = ok === undefined ? '-' : ok ? 'ok' : 'MISSING';
  return `  ${mark.padEnd(8)} ${what.padEnd(32)} ${detail}\n`;
}

async function gpuFindings(wanted: readonly OnnxProvider[], env: Env): Promise<Finding[]> {
  const needsGpu = wanted.some((provider) => provider !== 'cpu');
  const missing = needsGpu ? false : undefined;
  const told = async (what: string, tell: () => Promise<string>): Promise<Finding> => {
    try {
      return { what, ok: true, detail: await tell() };
    } catch (error) {
      return { what, ok: missing, detail: messageOf(error) };
    }
  };
  return [
    await told('GPU', async () =>
      (await gpus())
        .map(({ name, computeCapability, driver, cuda }) => {
          const seen = `${name}, compute capability ${computeCapability}, driver ${driver}, CUDA up to ${cuda}`;
          if (Number.parseInt(driver, 10) >= LEAST_DRIVER) return seen;
          throw new Error(`${seen}: CUDA 13 needs driver ${LEAST_DRIVER} or newer`);
        })
        .join('; '),
    ),
    ...(await Promise.all(
      LIBRARIES.map(async ([file, from]): Promise<Finding> => {
        const isProvider = file.startsWith('libonnxruntime');
        // ONNX Runtime loads its providers from its own folder, wherever else they are.
        const path = isProvider ? await fileIn(onnxruntimeFolder(), file) : await findLibrary(file, env);
        if (path !== undefined) return { what: file, ok: true, detail: path };
        const isNeeded = wanted.includes('tensorrt') || (needsGpu && !/nvinfer|nvonnx|tensorrt/.test(file));
        const detail = isProvider
          ? `not found in ${onnxruntimeFolder()}: put ${from} there`
          : `not found: install ${from}, or add its folder to LD_LIBRARY_PATH`;
        return { what: file, ok: isNeeded ? false : undefined, detail };
      }),
    )),
    ...(wanted.includes('tensorrt')
      ? [
          await told('TensorRT version', () => tensorrtVersion(env)),
          await told('trtexec', () => commandPath('trtexec', env)),
        ]
      : []),
    ...(needsGpu ? [await told("CUDA's runtime", () => cudaRuntimeVersion(env))] : []),
  ];
}

async function fileIn(folder: string, file: string): Promise<string | undefined> {
  const path = join(folder, file);
  return (await stat(path).catch(() => undefined)) && path;
}

async function commandPath(command: string, env: Env): Promise<string> {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    const path = await fileIn(folder, command);
    if (path !== undefined) return path;
  }
  throw new Error(`not found on the PATH: install TensorRT's command ${command} (package libnvinfer-bin)`);
}

async function tryProvider(
  provider: OnnxProvider,
  wanted: readonly OnnxProvider[],
  env: Env,
): Promise<Finding> {
  const what = `inference on ${provider}`;
  if (!wanted.includes(provider)) return { what, ok: undefined, detail: 'not asked for (--provider)' };
  try {
    return { what, ok: true, detail: await tryInference(provider, env) };
  } catch (error) {
    return { what, ok: false, detail: messageOf(error).split('\n')[0] as string };
  }
}

async function pipelineFindings(
  file: string | undefined,
  roles: readonly PipelineRole[],
  env: Env,
): Promise<Finding[]> {
  try {
    const pipeline = await openPipeline(file === undefined ? undefined : resolve(file), env);
    const findings = await checkPermissions(pipeline, roles);
    return findings.map(({ action, resource, ok, detail }) => ({
      what: `${action} ${resource}`,
      ok,
      detail,
    }));
  } catch (error) {
    return [{ what: 'pipeline', ok: false, detail: messageOf(error) }];
  }
}
