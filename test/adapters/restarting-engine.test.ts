import { describe, expect, it } from 'vitest';
import { RestartingEngine } from '#adapters/restarting-engine.ts';
import { SluiceError, type SluiceErrorCode } from '#core/error.ts';
import type { Engine, EngineBatch, Tensor } from '#core/ports/engine.ts';

type Outcome = 'ok' | SluiceErrorCode;

/** Engines that are lost for good once a run loses them; each run ends as the next outcome says. */
function engines(...outcomes: Outcome[]) {
  let started = 0;
  let disposed = 0;
  const load = async (): Promise<Engine> => {
    started++;
    let lost: SluiceError | undefined;
    return {
      provider: 'cpu',
      inputs: [],
      outputs: [],
      run: async (): Promise<Record<string, Tensor>> => {
        if (lost !== undefined) throw lost;
        const outcome = outcomes.shift() ?? 'ok';
        if (outcome === 'ok') return {};
        const error = new SluiceError(outcome, `the run ended with ${outcome}`);
        if (outcome === 'engine-lost') lost = error;
        throw error;
      },
      [Symbol.asyncDispose]: async () => void disposed++,
    };
  };
  return { load, count: () => ({ started, disposed }) };
}

const BATCH: EngineBatch = {};
const codeOf = (run: Promise<unknown>): Promise<Outcome> =>
  run.then(
    () => 'ok' as const,
    (error: SluiceError) => error.code,
  );
const L = 'engine-lost';

describe('an engine that is started again', () => {
  it('fails the run that cost it its process, and takes the next one with a new process', async () => {
    const { load, count } = engines(L);
    await using engine = await RestartingEngine.load(load);
    expect(await codeOf(engine.run(BATCH))).toBe(L);
    expect(await codeOf(engine.run(BATCH))).toBe('ok');
    expect(count()).toEqual({ started: 2, disposed: 1 });
  });

  it('does not lose a run that waited for the one that was lost', async () => {
    const { load } = engines(L);
    await using engine = await RestartingEngine.load(load);
    const runs = [engine.run(BATCH), engine.run(BATCH), engine.run(BATCH)];
    expect(await Promise.all(runs.map(codeOf))).toEqual([L, 'ok', 'ok']);
  });

  it('is given up after four losses in a row, says so at once from then on, and starts nothing more', async () => {
    const { load, count } = engines(L, L, L, L);
    await using engine = await RestartingEngine.load(load);
    for (let i = 0; i < 3; i++) expect(await codeOf(engine.run(BATCH))).toBe(L);
    await expect(engine.run(BATCH)).rejects.toMatchObject({
      code: 'engine-given-up',
      message: expect.stringMatching(/4 times in a row.*the run ended with engine-lost/),
    });
    expect(await codeOf(engine.run(BATCH))).toBe('engine-given-up');
    expect(count()).toEqual({ started: 4, disposed: 4 });
  });

  it.each<[string, Outcome]>([
    ['a run that came back', 'ok'],
    ['a batch that the model refused', 'engine-failed'],
  ])('counts losses anew after %s', async (_, between) => {
    const { load } = engines(L, L, L, between, L, L, L, 'ok');
    await using engine = await RestartingEngine.load(load);
    const got: Outcome[] = [];
    for (let i = 0; i < 8; i++) got.push(await codeOf(engine.run(BATCH)));
    expect(got).toEqual([L, L, L, between, L, L, L, 'ok']);
  });

  it('takes it for a loss where it cannot be started again', async () => {
    const { load } = engines(L);
    let loads = 0;
    await using engine = await RestartingEngine.load(async () => {
      if (loads++ > 0) throw new SluiceError('model-invalid', 'no memory');
      return load();
    });
    for (let i = 0; i < 3; i++) expect(await codeOf(engine.run(BATCH))).toBe(L);
    await expect(engine.run(BATCH)).rejects.toThrow(/4 times in a row.*started again: no memory/);
  });
});
