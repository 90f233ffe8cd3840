import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { Cascade } from '#core/cascade.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import type { Policy } from '#core/policy.ts';
import { type Stages, type StageWith, singleStage, stageProblems } from '#core/stages.ts';

/**
 * The cascade that a file describes.
 *
 * @throws SluiceError `config-invalid` that names every bad value.
 */
export async function readCascade(path: string): Promise<Cascade> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new SluiceError('config-invalid', `no cascade can be read from "${path}": ${messageOf(cause)}`, {
      cause,
    });
  }
  const parsed = Cascade.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SluiceError(
    'config-invalid',
    `"${path}" does not describe a cascade:\n${z.prettifyError(parsed.error)}`,
  );
}

/**
 * The stages of a cascade, or one model by itself, each with what `load` gives of its model.
 *
 * @param policy of the images, instead of the model's or the cascade's.
 * @throws SluiceError `config-invalid` where the models do not give what other stages or the policy take.
 */
export async function loadStages<M extends { readonly manifest: ModelManifest }>(
  from: {
    readonly model: string;
    readonly cascade?: Cascade | undefined;
    readonly policy?: Policy | undefined;
  },
  load: (nameOrFolder: string) => Promise<M>,
): Promise<Stages<StageWith<M>>> {
  if (from.cascade === undefined) {
    const model = await load(from.model);
    const { name, policy } = model.manifest;
    return singleStage<StageWith<M>>({ ...model, name, policy: from.policy ?? policy });
  }
  const { verdict } = from.cascade;
  const policy = from.policy ?? from.cascade.policy;
  const all: StageWith<M>[] = [];
  for (const { name, model, from: source, policy: own, shadow } of from.cascade.stages) {
    const withPolicy = async (nameOrFolder: string) => {
      const loaded = await load(nameOrFolder);
      return { ...loaded, policy: own ?? loaded.manifest.policy };
    };
    all.push({
      ...(await withPolicy(model)),
      name,
      ...(source && { from: source }),
      ...(shadow !== undefined && { shadow: await withPolicy(shadow) }),
    });
  }
  const [first, ...following] = all as [StageWith<M>, ...StageWith<M>[]];
  const stages = { first, following, combined: { verdict, ...(policy && { policy }) } };
  const problems = stageProblems(stages);
  if (problems.length === 0) return stages;
  const list = problems.map((problem) => `  ${problem}`).join('\n');
  throw new SluiceError('config-invalid', `the cascade does not fit its models:\n${list}`);
}
