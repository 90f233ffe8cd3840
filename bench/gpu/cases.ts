import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type LoadedModel, loadModel } from '#adapters/model-folder.ts';
import type { Precision } from '#core/engine-artifact.ts';
import { writeResNet } from './models.ts';

/** One model in one precision on one provider, and what of it is measured. */
export interface Case {
  readonly name: string;
  /** Writes the model below a folder, or has it already. */
  readonly model: (folder: string) => Promise<LoadedModel>;
  readonly provider: 'tensorrt' | 'cuda';
  readonly precision: Precision;
  readonly builderFlags: readonly string[];
  /** How many the worker is fed with. */
  readonly images: number;
  /** Batch sizes of the service that it is compared with; none: it is not. */
  readonly coupledBatches: readonly number[];
  /** Whether the worker is measured on more processor cores, too. */
  readonly onMoreCores: boolean;
}

const RESNET50 = {
  model: (folder: string) => writeResNet(folder, 50),
  provider: 'tensorrt',
  precision: 'fp32',
  builderFlags: [],
  images: 51_200,
  coupledBatches: [8, 32, 128],
  onMoreCores: false,
} satisfies Partial<Case>;

/** The first one is as slow as a T4 is at best; the others show where feeding ends. */
const RESNETS: readonly Case[] = [
  { ...RESNET50, name: 'ResNet-50, TensorRT fp32', builderFlags: ['--noTF32'] },
  {
    ...RESNET50,
    name: 'ResNet-50, TensorRT fp16',
    precision: 'fp16',
    coupledBatches: [32],
    onMoreCores: true,
  },
];
const OTHERS: readonly Case[] = [
  { ...RESNET50, name: 'ResNet-50, CUDA fp32', provider: 'cuda', coupledBatches: [] },
  {
    ...RESNET50,
    name: 'ResNet-152, TensorRT fp32',
    model: (folder) => writeResNet(folder, 152),
    builderFlags: ['--noTF32'],
    images: 25_600,
  },
];

/** Of the models in a folder, too, each in its own: those that were quantized as they are, the others in float16. */
export async function casesOf(models: string | undefined): Promise<readonly Case[]> {
  if (models === undefined) return [...RESNETS, ...OTHERS];
  const own = (await readdir(models)).sort().map((name): Case => {
    const precision = name.endsWith('-int8') ? 'int8' : 'fp16';
    return {
      name: `${name}, TensorRT ${precision}`,
      model: () => loadModel(join(models, name)),
      provider: 'tensorrt',
      precision,
      builderFlags: [],
      images: name.startsWith('yolo') ? 12_800 : 38_400,
      coupledBatches: [],
      onMoreCores: false,
    };
  });
  return [...RESNETS, ...own, ...OTHERS];
}
