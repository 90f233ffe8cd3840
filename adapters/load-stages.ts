import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { Cascade } from '#core/cascade.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import type { ModelManifest } from '#core/model-manifest.ts';
import type { Policy } from '#core/policy.ts';
import { policyProblems, type Stages, type StageWith, singleStage, stageProblems } from '#core/stages.ts';

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
 * @throws SluiceError `config-invalid` where the models do not give what other stages or policies speak of.
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
    return fitting(singleStage<StageWith<M>>({ ...model, name, policy: from.policy ?? policy }));
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
  return fitting({ first, following, combined: { verdict, ...(policy && { policy }) } });
}

function fitting<S extends Stages>(stages: S): S {
  return withoutProblems(
    stages,
    stageProblems(stages),
    stages.combined === undefined
      ? 'the policy does not fit the model'
      : 'the cascade does not fit its models',
  );
}

/**
 * The policy, if it can decide on the images of these stages.
 *
 * @throws SluiceError `config-invalid` that names every measure which is not there.
 */
export function fittingPolicy(policy: Policy, stages: Stages): Policy {
  return withoutProblems(policy, policyProblems(stages, policy), 'the policy does not fit');
}

function withoutProblems<T>(value: T, problems: readonly string[], what: string): T {
  if (problems.length === 0) return value;
  const list = problems.map((problem) => `  ${problem}`).join('\n');
  throw new SluiceError('config-invalid', `${what}:\n${list}`);
}
