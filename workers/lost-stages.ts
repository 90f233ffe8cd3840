/** The stages that have lost their engines, and have not come back from a run since. */
export class LostStages {
  readonly #stages = new Set<string>();
  readonly #watchers = new Set<() => void>();

  has(stage: string): boolean {
    return this.#stages.has(stage);
  }

  /** Takes note of how a run ended. */
  set(stage: string, isLost: boolean): void {
    if (isLost === this.#stages.has(stage)) return;
    if (isLost) this.#stages.add(stage);
    else this.#stages.delete(stage);
    for (const watcher of this.#watchers) watcher();
  }

  /** Tells of every change, until it is disposed of. */
  watch(watcher: () => void): Disposable {
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => this.#watchers.delete(watcher) };
  }
}
