import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RunningPipeline } from '#test/support/running-pipeline.ts';

describe('the functions as Lambda loads them', () => {
  let running: RunningPipeline;
  beforeAll(async () => {
    running = await RunningPipeline.start();
    for (const [name, value] of Object.entries(running.env)) vi.stubEnv(name, value);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await running[Symbol.asyncDispose]();
  });

  it.each(['plan', 'ingest', 'preprocess', 'finalize'])(
    '%s finds its pipeline in the environment',
    async (name) => {
      const { handler } = (await import(`#functions/lambda/${name}.ts`)) as {
        handler: (event: object, context: object) => Promise<unknown>;
      };
      const answer = await handler({ Records: [] }, { getRemainingTimeInMillis: () => 300_000 });
      expect(answer).toEqual(
        name === 'finalize' ? { completed: [], open: 0, deadLetters: 0 } : { batchItemFailures: [] },
      );
    },
  );

  it('say what is wrong with a pipeline that cannot be used, before any message is taken', async () => {
    const { lambdaContext } = await import('#functions/lambda/context.ts');
    vi.stubEnv('SLUICE_PIPELINE', '{"work":"nowhere"}');
    await expect(lambdaContext('plan')).rejects.toMatchObject({ code: 'config-invalid' });
  });
});
