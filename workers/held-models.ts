import type { ModelManifest } from '#core/model-manifest.ts';
import type { Engine } from '#core/ports/engine.ts';
import type { Stages, StageWith } from '#core/stages.ts';

/** A model that a worker holds, for the packs of one stage. */
export interface HeldModel {
  readonly stage: string;
  readonly manifest: ModelManifest;
  readonly engine: Engine;
  /** Sees the same packs, and decides nothing. */
  readonly shadow?: { readonly manifest: ModelManifest; readonly engine: Engine };
}

/** The models of all stages of a job, each in an engine of its own. */
export class HeldModels implements AsyncDisposable {
  readonly first: HeldModel;
  readonly following: readonly HeldModel[];

  private constructor(held: readonly [HeldModel, ...HeldModel[]]) {
    [this.first, ...this.following] = held;
  }

  /** Loads one model after the other. What was loaded before one that fails is let go. */
  static async load<M extends { readonly manifest: ModelManifest }>(
    { first, following }: Stages<StageWith<M>>,
    load: (model: M) => Promise<Engine>,
  ): Promise<HeldModels> {
    const held: HeldModel[] = [];
    try {
      for (const stage of [first, ...following]) {
        const model: HeldModel = { stage: stage.name, manifest: stage.manifest, engine: await load(stage) };
        held.push(model);
        if (stage.shadow === undefined) continue;
        const { manifest } = stage.shadow;
        held[held.length - 1] = { ...model, shadow: { manifest, engine: await load(stage.shadow) } };
      }
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
  const engines = held.flatMap(({ engine, shadow }) => (shadow ? [engine, shadow.engine] : [engine]));
  await Promise.all(engines.map((engine) => engine[Symbol.asyncDispose]()));
}
