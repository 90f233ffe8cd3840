import { shortHashOf } from './canonical-json.ts';
import type { CombinedVerdict, StageSource } from './cascade.ts';
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

/** What of a cascade cannot be, now that its models are known: one sentence each. */
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
      const known = [...scoreNames(source.manifest), ...OWN_MEASURES];
      for (const measure of measuresOf(from.images.when)) {
        if (!known.includes(measure))
          problems.push(
            `stage "${name}" takes images by "${measure}", which ${model} does not give (${some(known)})`,
          );
      }
    }
  }
  for (const measure of combined?.policy === undefined ? [] : measuresOf(combined.policy)) {
    const [name = '', score] = split(measure);
    if (score === undefined) continue;
    const stage = byName.get(name);
    if (stage === undefined)
      problems.push(`the policy speaks of "${measure}", but there is no stage "${name}"`);
    else if (score !== 'count' && !scoreNames(stage.manifest).includes(score))
      problems.push(
        `the policy speaks of "${measure}", but stage "${name}" gives no "${score}" (${some(scoreNames(stage.manifest))})`,
      );
  }
  return problems;
}

/** Measures that every image has by itself. */
const OWN_MEASURES = ['width', 'height', 'bytes', 'aspect_ratio'];

function split(measure: string): string[] {
  const dot = measure.indexOf('.');
  return dot < 0 ? [measure] : [measure.slice(0, dot), measure.slice(dot + 1)];
}

function some(names: readonly string[]): string {
  return names.length > 12 ? `${names.slice(0, 12).join(', ')}, …` : names.join(', ');
}
