/**
 * The results of `work` on each item, in the items' order, with up to `inFlight` of them under way ahead of the one
 * that is asked for.
 */
export async function* ahead<T, R>(
  items: Iterable<T>,
  inFlight: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<{ item: T; result: R }> {
  const started: { item: T; result: Promise<R> }[] = [];
  const iterator = items[Symbol.iterator]();
  const start = (): void => {
    const { value, done } = iterator.next();
    if (done === true) return;
    const result = work(value);
    // Its turn to be awaited may come later than its failure.
    result.catch(() => undefined);
    started.push({ item: value, result });
  };
  for (let i = 0; i < inFlight; i++) start();
  for (let next = started.shift(); next !== undefined; next = started.shift()) {
    const result = await next.result;
    start();
    yield { item: next.item, result };
  }
}
