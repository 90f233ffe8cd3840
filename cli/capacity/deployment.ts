import { backlogFor, DEPLOYED_SCALING } from '#core/fleet-scaling.ts';
import { PipelineConfig } from '#core/pipeline-config.ts';
import type { FleetSettings } from '#core/simulation/fleet-for.ts';
import { Scenario } from '#core/simulation/scenario.ts';

const USUAL = {
  preprocess: PipelineConfig.shape.preprocess.parse(undefined),
  maxBacklogPacks: PipelineConfig.shape.maxBacklogPacks.parse(undefined),
  worker: PipelineConfig.shape.worker.parse(undefined),
};

/**
 * What the file of an environment (infra/environments/) must say for a stack to be the pipeline that was simulated: what is
 * not as it is by default.
 */
export function environmentFor(settings: FleetSettings, scenario: Scenario): Record<string, object> {
  const { concurrency, maxWorkers, growAtPacks, maxBacklogPacks } = settings;
  const { packSize, shardSize, worker } = scenario;
  const byItself = Math.max(USUAL.maxBacklogPacks, backlogFor(settings, concurrency));
  const pipeline = {
    ...(packSize !== PipelineConfig.shape.packSize.parse(undefined) && { packSize }),
    ...(shardSize !== PipelineConfig.shape.shardSize.parse(undefined) && { shardSize }),
    ...(concurrency !== USUAL.preprocess.concurrency && { preprocess: { concurrency } }),
    ...(maxBacklogPacks !== byItself && { maxBacklogPacks }),
    ...(worker.batchSize !== USUAL.worker.batchSize && { worker: { batchSize: worker.batchSize } }),
  };
  const { minWorkers } = scenario.scaling;
  const fleet = {
    ...(minWorkers !== DEPLOYED_SCALING.minWorkers && { minWorkers }),
    ...(maxWorkers !== DEPLOYED_SCALING.maxWorkers && { maxWorkers }),
    ...(growAtPacks !== DEPLOYED_SCALING.growAtPacks && { growAtPacks }),
  };
  return Object.fromEntries(
    Object.entries({ pipeline, fleet }).filter(([, part]) => Object.keys(part).length > 0),
  );
}

/** What was simulated and no file of an environment can say, by its name in a scenario. */
export function notDeployable(scenario: Scenario): string[] {
  const usual = Scenario.parse({ images: 1 });
  const others = <T extends object>(
    of: string,
    own: T,
    deployed: T,
    skip: readonly string[] = [],
  ): string[] =>
    Object.entries(own)
      .filter(([name]) => !skip.includes(name))
      .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(deployed[name as keyof T]))
      .map(([name]) => `${of}.${name}`);
  return [
    ...others('scaling', scenario.scaling, usual.scaling, ['minWorkers', 'maxWorkers', 'growAtPacks']),
    ...others('functions', scenario.functions, usual.functions, ['concurrency']),
  ];
}
