import type { ModelManifest } from '#core/model-manifest.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { Stage, Stages } from '#core/stages.ts';

/** A model that a worker holds, for the packs of one stage. */
export interface HeldModel {
  readonly stage: string;
  readonly manifest: ModelManifest;
  readonly engine: Engine;
}

/** The models of all stages of a job, each in an engine of its own. */
export class HeldModels implements AsyncDisposable {
  readonly first: HeldModel;
  readonly following: readonly HeldModel[];

  private constructor(held: readonly [HeldModel, ...HeldModel[]]) {
    [this.first, ...this.following] = held;
  }

  /** Loads one model after the other. What was loaded before one that fails is let go. */
  static async load<S extends Stage>(
    { first, following }: Stages<S>,
    load: (stage: S) => Promise<Engine>,
  ): Promise<HeldModels> {
    const held: HeldModel[] = [];
    try {
      for (const stage of [first, ...following])
        held.push({ stage: stage.name, manifest: stage.manifest, engine: await load(stage) });
    } catch (error) {
      await dispose(held);
      throw error;
    }
    return new HeldModels(held as [HeldModel, ...HeldModel[]]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return dispose([this.first, ...this.following]);
  }
}

async function dispose(held: readonly HeldModel[]): Promise<void> {
  await Promise.all(held.map(({ engine }) => engine[Symbol.asyncDispose]()));
}
