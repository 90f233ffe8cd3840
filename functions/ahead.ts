/**
 * The results of `work` on each item, in the items' order, with up to `inFlight` of them under way ahead of the one
 * that is asked for.
 */
export async function* ahead<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  inFlight: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<{ item: T; result: R }> {
  const started: { item: T; result: Promise<R> }[] = [];
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const start = async (): Promise<void> => {
    const { value, done } = await iterator.next();
    if (done === true) return;
    const result = work(value);
    // Its turn to be awaited may come later than its failure.
    result.catch(() => undefined);
    started.push({ item: value, result });
  };
  for (let i = 0; i < inFlight; i++) await start();
  for (let next = started.shift(); next !== undefined; next = started.shift()) {
    const result = await next.result;
    await start();
    yield { item: next.item, result };
  }
}
