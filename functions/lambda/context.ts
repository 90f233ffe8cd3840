import { availableParallelism } from 'node:os';
import { type JsonLog, jsonLog } from '#adapters/json-log.ts';
import { openPipeline, type Pipeline } from '#adapters/pipeline.ts';
import { checkDecoder } from '../preprocessing/check-decoder.ts';
import { PackProcesses } from '../preprocessing/pack-processes.ts';

/** What a function on Lambda works with. Made once for each environment, before its first invocation. */
export async function lambdaContext(name: string): Promise<{ pipeline: Pipeline; log: JsonLog }> {
  return { pipeline: await openPipeline(undefined, process.env), log: jsonLog({ function: name }) };
}

/** Decoding processes: a decoder that hangs or crashes must not take the function with it. */
export function lambdaDecoders({ config, workLocation }: Pipeline): PackProcesses {
  const { limits, preprocess } = config;
  return new PackProcesses(preprocess.processes ?? availableParallelism(), {
    works: workLocation,
    limits,
    maxDecodedBytes: preprocess.maxDecodedBytes,
    options: {
      maxImageBytes: limits.maxImageBytes,
      imagesInFlight: preprocess.imagesInFlight,
      maxInFlightBytes: preprocess.maxInFlightBytes,
    },
  });
}

/** The same, once they have shown that they make the pixels that the pipeline's models were verified with. */
export async function checkedDecoders(pipeline: Pipeline, log: JsonLog): Promise<PackProcesses> {
  const { model, cascade } = pipeline.config;
  const processes = lambdaDecoders(pipeline);
  const models = await checkDecoder(cascade?.stages.map((stage) => stage.model) ?? [model], processes);
  if (models.length > 0) log.info('the decoder gives what models were verified with', { models });
  return processes;
}
