import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those that take long come first, so that none of them is left running alone at the end. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const takesLong = ({ moduleId }: TestSpecification): boolean =>
      /\/(pipeline|acceptance)\//.test(moduleId);
    return (await super.sort(files)).sort((a, b) => Number(takesLong(b)) - Number(takesLong(a)));
  }
}

const ALL = ['test/**/*.test.ts'];
/** Those that run whole jobs, under each fault in turn or by processes of their own, or search through models: `npm run test:long`. */
const LONG = [
  'test/pipeline/!(backfill|doctor).test.ts',
  'test/acceptance/{cascade,cascade-real-models,corpus,exact-duplicates,other-user,resume,whole-image-cascade}.test.ts',
  'test/functions/preprocessing/{decoding-memory,hostile-pack,pack-processes}.test.ts',
  'test/infra/{app,least-privilege,packages,worker-image}.test.ts',
  'test/core/simulation/{fleet-for,simulate}.test.ts',
  'test/models/import/{import-model,reduce-head}.test.ts',
  'test/models/precision/derive/*.test.ts',
  'test/models/precision/raise-opset.test.ts',
  'test/models/quality/agreement.test.ts',
  'test/models/real-models.test.ts',
  'test/models/verify/verify-model.test.ts',
  'test/adapters/image/library-goldens.test.ts',
  'test/cli/{capacity,quote}/*.test.ts',
  'test/cli/{models,models-guide}.test.ts',
];
/** Those that synthesize the stack in memory, which imports the whole of the CDK: `npm run test:infra`, which `.ci/run` runs too. */
const INFRA = ['test/infra/{audit-stack,permission-tables,worker-fleet}.test.ts'];
/** Those that calibrate and quantize models, one after the other: `npm run test:int8`, which `.ci/run` runs too. */
const INT8 = ['test/models/precision/{equalize-channels,to-int8}.test.ts'];
/** Those that take real models through whole corpora or searches, and want `../shared`: `npm run test:real-models`. */
const REAL_MODELS = ['test/real-models/*.test.ts', 'test/models/precision/real-int8.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'quick', include: ALL, exclude: [...LONG, ...INFRA, ...INT8, ...REAL_MODELS] },
      },
      { extends: true, test: { name: 'infra', include: INFRA } },
      { extends: true, test: { name: 'int8', include: INT8 } },
      // Beside other work, whole jobs take several times as long as alone.
      { extends: true, test: { name: 'long', include: LONG, testTimeout: 300_000, hookTimeout: 300_000 } },
      { extends: true, test: { name: 'real-models', include: REAL_MODELS } },
    ],
    globalSetup: ['test/support/announce-skips.ts'],
    setupFiles: ['test/support/same-environment.ts'],
    // More than there are cores: many of them wait for queues most of the time.
    maxWorkers: availableParallelism() + 2,
    // Files share what they import, which took a third of the time; none may change what another one finds.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
