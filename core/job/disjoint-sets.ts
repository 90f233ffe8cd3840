/** Union–find over the integers 0 … size − 1, with path halving; the smallest member leads each set. */
export class DisjointSets {
  readonly #parent: Uint32Array;

  constructor(size: number) {
    this.#parent = Uint32Array.from({ length: size }, (_, i) => i);
  }

  /** The positions of equal values as sets; null equals nothing, not even null. */
  static ofEqual(values: readonly (string | null)[]): DisjointSets {
    const sets = new DisjointSets(values.length);
    const first = new Map<string, number>();
    for (const [index, value] of values.entries()) {
      if (value === null) continue;
      const seen = first.get(value);
      if (seen === undefined) first.set(value, index);
      else sets.join(seen, index);
    }
    return sets;
  }

  /** The smallest member of the set that `member` is in. */
  leaderOf(member: number): number {
    const parent = this.#parent;
    let at = member;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at] as number] as number;
      at = parent[at] as number;
    }
    return at;
  }

  join(a: number, b: number): void {
    const leaderA = this.leaderOf(a);
    const leaderB = this.leaderOf(b);
    // Smallest leads: the result does not depend on the order of the joins.
    if (leaderA < leaderB) this.#parent[leaderB] = leaderA;
    else this.#parent[leaderA] = leaderB;
  }

  /** All sets of two members or more, by leader; members ascend. */
  groups(): Map<number, number[]> {
    const groups = new Map<number, number[]>();
    for (let i = 0; i < this.#parent.length; i++) {
      const leader = this.leaderOf(i);
      const group = groups.get(leader);
      if (group === undefined) groups.set(leader, [i]);
      else group.push(i);
    }
    for (const [leader, members] of groups) if (members.length < 2) groups.delete(leader);
    return groups;
  }
}
