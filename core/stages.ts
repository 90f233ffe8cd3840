import { shortHashOf } from './canonical-json.ts';
import type { CombinedVerdict, StageSource } from './cascade.ts';
import { IMAGE_MEASURES, JOB_MEASURES } from './measures.ts';
import { type ModelManifest, scoreNames } from './model-manifest.ts';
import { type FollowingStage, type Plan, plannedStage } from './plan.ts';
import { measuresOf, type Policy, policyHash } from './policy.ts';
import { preprocessHash } from './preprocess-spec.ts';

/** A stage with its model. */
export interface Stage {
  readonly name: string;
  readonly manifest: ModelManifest;
  /** Left out, it sees all images: so does the first one, and any other that says nothing. */
  readonly from?: StageSource;
  readonly policy: Policy;
  readonly shadow?: Shadow;
}

/** A model that sees what a stage sees and decides nothing. */
export interface Shadow {
  readonly manifest: ModelManifest;
  /** What would decide if it were the stage's model. */
  readonly policy: Policy;
}

/** A stage with what was loaded of its models. */
export type StageWith<M> = Stage & M & { readonly shadow?: Shadow & M };

/** What a job runs: one model, or a cascade. */
export interface Stages<S extends Stage = Stage> {
  readonly first: S;
  readonly following: readonly S[];
  /** Only of a cascade: how an image's verdict comes of its stages. */
  readonly combined?: { readonly verdict: CombinedVerdict; readonly policy?: Policy };
}

/** How the rows of a cascade become verdicts. */
export interface CascadeRules {
  /** The policy of each stage, by its name. */
  readonly stages: Readonly<Record<string, Policy>>;
  /** `rules`: the job's policy decides from the measures of all stages. */
  readonly verdict: CombinedVerdict | 'rules';
  /** The policies of shadows, by their stages. */
  readonly shadows: Readonly<Record<string, Policy>>;
}

/** How a job's scores become verdicts. */
export interface JobRules {
  /** Of the images: the first stage's policy, or that of the cascade where its verdict is `rules`. */
  readonly policy: Policy;
  readonly cascade?: CascadeRules;
}

/** One model by itself, under its own name. */
export function singleStage<S extends Stage>(stage: S): Stages<S> {
  return { first: stage, following: [] };
}

/** The rules of a job. @param policy of the images, instead of what the stages say. */
export function rulesOf({ first, following, combined }: Stages, policy?: Policy): JobRules {
  if (combined === undefined) return { policy: policy ?? first.policy };
  const all = [first, ...following];
  const stages = Object.fromEntries(all.map(({ name, policy }) => [name, policy]));
  const shadows = Object.fromEntries(
    all.flatMap(({ name, shadow }) => (shadow === undefined ? [] : [[name, shadow.policy]])),
  );
  const own = policy ?? combined.policy;
  return own === undefined
    ? { policy: first.policy, cascade: { stages, shadows, verdict: combined.verdict } }
    : { policy: own, cascade: { stages, shadows, verdict: 'rules' } };
}

/** The name of a job's rules in receipts: the policy's own where there is no cascade. */
export function rulesHash({ policy, cascade }: JobRules): string {
  if (cascade === undefined) return policyHash(policy);
  const stages = Object.entries(cascade.stages).map(([name, own]) => [name, policyHash(own)]);
  return shortHashOf({ verdict: cascade.verdict, policy: policyHash(policy), stages });
}

/** The stages as a plan fixes them. */
export function plannedStages({ first, following }: Stages): Pick<Plan, 'stage' | 'following'> {
  const stage = plannedStage(first.manifest, first.name, first.shadow?.manifest);
  if (following.length === 0) return { stage };
  const planned = following.map(
    (one): FollowingStage => ({
      ...plannedStage(one.manifest, one.name, one.shadow?.manifest),
      ...(one.from && { from: one.from }),
    }),
  );
  return { stage, following: planned };
}

/** What of the stages cannot be, now that their models are known: one sentence each. */
export function stageProblems(stages: Stages): string[] {
  const { first, following, combined } = stages;
  const byName = new Map([first, ...following].map((stage) => [stage.name, stage]));
  const problems: string[] = [];
  for (const { name, manifest, shadow } of byName.values()) {
    if (shadow === undefined) continue;
    if (preprocessHash(shadow.manifest.preprocess) !== preprocessHash(manifest.preprocess))
      problems.push(
        `stage "${name}" has the shadow "${shadow.manifest.name}", which takes pictures in another way than "${manifest.name}": a shadow sees the same packs, so both must have the same "preprocess"`,
      );
  }
  for (const { name, from } of following) {
    const source = from === undefined ? undefined : byName.get(from.stage);
    if (from === undefined || source === undefined) continue;
    const { detector } = source.manifest;
    const model = `the model "${source.manifest.name}" of stage "${source.name}"`;
    if (from.boxes !== undefined && detector === undefined)
      problems.push(`stage "${name}" takes boxes, but ${model} finds none: it is no detector`);
    for (const label of from.boxes?.labels ?? []) {
      if (detector !== undefined && !detector.labels.includes(label))
        problems.push(
          `stage "${name}" takes boxes of "${label}", which ${model} does not know (${some(detector.labels)})`,
        );
    }
    if (from.images !== undefined) {
      const known = [...scoreNames(source.manifest), ...IMAGE_MEASURES];
      for (const measure of measuresOf(from.images.when)) {
        if (!known.includes(measure))
          problems.push(
            `stage "${name}" takes images by "${measure}", which ${model} does not give (${some(known)})`,
          );
      }
    }
  }
  for (const { name, manifest, policy, shadow } of byName.values()) {
    const stage = combined === undefined ? '' : ` of stage "${name}"`;
    problems.push(...unknownMeasures(policy, manifest, `the policy${stage}`));
    if (shadow !== undefined)
      problems.push(...unknownMeasures(shadow.policy, shadow.manifest, `the policy of the shadow${stage}`));
  }
  if (combined?.policy !== undefined) problems.push(...policyProblems(stages, combined.policy));
  return problems;
}

/**
 * What a policy that decides on the images of a job cannot speak of, one sentence each: a rule on a measure that is not
 * there would never flag anything, and nobody would know.
 */
export function policyProblems({ first, following, combined }: Stages, policy: Policy): string[] {
  if (combined === undefined) return unknownMeasures(policy, first.manifest, 'the policy');
  const byName = new Map([first, ...following].map((stage) => [stage.name, stage]));
  const ofFirst = knownMeasures(scoreNames(first.manifest));
  return measuresOf(policy).flatMap((measure) => {
    if (ofFirst.includes(measure)) return [];
    const [name = '', score] = split(measure);
    const problem = (what: string): string[] => [`the policy speaks of "${measure}", but ${what}`];
    if (score === undefined) return problem(`stage "${first.name}" gives none (${some(ofFirst)})`);
    const stage = byName.get(name);
    if (stage === undefined) return problem(`there is no stage "${name}"`);
    const scores = scoreNames(stage.manifest);
    const known = stage === first ? ofFirst : scores;
    if (score === 'count' || known.includes(score)) return [];
    return problem(`stage "${name}" gives no "${score}" (${some(scores)})`);
  });
}

function unknownMeasures(policy: Policy, manifest: ModelManifest, what: string): string[] {
  const known = knownMeasures(scoreNames(manifest));
  return measuresOf(policy)
    .filter((measure) => !known.includes(measure))
    .map(
      (measure) =>
        `${what} speaks of "${measure}", which the model "${manifest.name}" does not give (${some(known)})`,
    );
}

/** What a rule can speak of where a model gives these scores. */
export function knownMeasures(scores: readonly string[]): string[] {
  return [...scores, ...IMAGE_MEASURES, ...JOB_MEASURES];
}

/** What a rule on the images of a planned job can speak of. */
export function plannedMeasures({
  stage: first,
  following = [],
}: Pick<Plan, 'stage' | 'following'>): string[] {
  const own = knownMeasures(first.scores);
  if (following.length === 0) return own;
  const of = (stage: string, measures: readonly string[]): string[] =>
    [...measures, 'count'].map((measure) => `${stage}.${measure}`);
  return [...own, ...of(first.name, own), ...following.flatMap(({ name, scores }) => of(name, scores))];
}

function split(measure: string): string[] {
  const dot = measure.indexOf('.');
  return dot < 0 ? [measure] : [measure.slice(0, dot), measure.slice(dot + 1)];
}

function some(names: readonly string[]): string {
  return names.length > 16 ? `${names.slice(0, 16).join(', ')}, …` : names.join(', ');
}
