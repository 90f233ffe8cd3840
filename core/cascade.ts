import { z } from 'zod';
import { Condition, Policy } from './policy.ts';

const StageName = z.string().regex(/^[a-z][a-z0-9_-]*$/, 'expected lower-case letters, digits, "_" or "-"');

/** What a stage sees: boxes that an earlier stage found, or those of its images of which something holds. */
export const StageSource = z
  .strictObject({
    stage: StageName,
    /** Each object that the stage found, cut out of the original. */
    boxes: z
      .strictObject({
        /** Left out, all of them. */
        labels: z.array(z.string().min(1)).min(1).optional(),
        /** Boxes with a lower score are left out. The detector's own `minScore` goes before. */
        minScore: z.number().min(0).max(1).default(0),
        /** What is cut out around a box on each side, as a share of the box's width and height. */
        margin: z.number().min(0).max(4).default(0),
      })
      .optional(),
    /** Each image whose scores and sizes meet the condition. */
    images: z.strictObject({ when: Condition }).optional(),
  })
  .refine(({ boxes, images }) => (boxes === undefined) !== (images === undefined), {
    message: 'expected either "boxes" or "images"',
  });
export type StageSource = z.infer<typeof StageSource>;

const CascadeStage = z.strictObject({
  name: StageName,
  /** A built-in model's name, or the folder of a model. */
  model: z.string().min(1),
  /** Left out, the stage sees all images, as the first one does. */
  from: StageSource.optional(),
  /** Instead of the model's own policy. */
  policy: Policy.optional(),
  /** Another model that sees the same packs and decides nothing: how its verdicts would differ is told in the end. */
  shadow: z.string().min(1).optional(),
});

/**
 * How the verdict of an image comes of its stages. `worst`: the gravest of all. `last`: that of the last stage which saw
 * the image. A policy of the cascade goes before both.
 */
export const CombinedVerdict = z.enum(['worst', 'last']);
export type CombinedVerdict = z.infer<typeof CombinedVerdict>;

/** Models in turn: each sees all images, or what an earlier one hands on. */
export const Cascade = z
  .strictObject({
    $schema: z.string().optional(),
    stages: z.array(CascadeStage).min(1).max(16),
    verdict: CombinedVerdict.default('worst'),
    /**
     * Decides the verdict of an image, from the first stage's measures by their names, and of every stage
     * `<stage>.<score>` (the highest, of several boxes) and `<stage>.count` (how often it saw the image).
     */
    policy: Policy.optional(),
  })
  .superRefine(({ stages }, context) => {
    const all = new Set(stages.map(({ name }) => name));
    const before = new Set<string>();
    for (const [i, { name, from }] of stages.entries()) {
      const problem = (path: string, message: string): void =>
        context.addIssue({ code: 'custom', path: ['stages', i, path], message });
      if (before.has(name)) problem('name', `there are two stages "${name}"`);
      if (i === 0 && from !== undefined)
        problem('from', 'the first stage sees all images: expected no "from"');
      if (from !== undefined && !before.has(from.stage)) {
        const known = `the stages before "${name}" are ${[...before].join(', ') || 'none'}`;
        const why =
          from.stage === name
            ? `a stage cannot follow on itself`
            : all.has(from.stage)
              ? `"${from.stage}" comes later: stages stand in the order in which they run, so that none waits for itself`
              : `there is no stage "${from.stage}"`;
        problem('from', `${why}; ${known}`);
      }
      before.add(name);
    }
  });
export type Cascade = z.infer<typeof Cascade>;
