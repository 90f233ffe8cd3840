import { describe, expect, it } from 'vitest';
import { packagedModels } from '#infra/packages/package-models.ts';
import { checkedPipeline, type PipelineSettings, settingsOf } from '#infra/pipeline-description.ts';

const reject = {
  rules: [{ check: 'any', when: { measure: 'chroma', above: 0 }, verdict: 'reject' as const }],
};
const cascade: PipelineSettings = {
  cascade: {
    stages: [
      { name: 'one', model: 'quality' },
      {
        name: 'two',
        model: 'quality',
        from: { stage: 'one', images: { when: { measure: 'chroma', above: 0 } } },
        shadow: './models/quality',
      },
    ],
  },
};

describe('the description of a pipeline', () => {
  it('has copies of rejected images made on both lanes, and beside a cascade on the live one', () => {
    const lanesOf = (settings: PipelineSettings) =>
      checkedPipeline(settings, { hasQuarantine: true }).actions.map(({ lanes }) => lanes);
    expect(lanesOf({})).toEqual([['live', 'bulk']]);
    expect(lanesOf(cascade)).toEqual([['live']]);
  });

  it('is refused as functions would refuse it, with every bad value named', () => {
    const settings = { packSize: 0, shardSize: -1 };
    expect(() => checkedPipeline(settings, { hasQuarantine: false })).toThrow(
      /do not make a pipeline:[\s\S]*packSize[\s\S]*shardSize|shardSize[\s\S]*packSize/,
    );
  });

  it('may have policies that are larger than the environment of a function, but not as many actions', () => {
    const rules = Array.from({ length: 200 }, () => reject.rules).flat();
    expect(() =>
      checkedPipeline({ policy: { rules } }, { maxWorkers: 4, hasQuarantine: true }),
    ).not.toThrow();
    const actions = Array.from({ length: 120 }, () => ({ on: ['reject' as const], tag: true }));
    expect(() => checkedPipeline({ actions }, { hasQuarantine: true })).toThrow(
      /take up to \d+ bytes in a function's environment, and Lambda takes 4096/,
    );
    // Without a bucket of the stack's own, they lie in the file with the other settings.
    expect(() => checkedPipeline({ actions }, { hasQuarantine: false })).not.toThrow();
  });

  it('lets as many packs wait as make the fleet grow to its limit', () => {
    const backlog = (maxWorkers: number, settings: PipelineSettings = {}) =>
      checkedPipeline(settings, { maxWorkers, hasQuarantine: false }).maxBacklogPacks;
    expect(backlog(4)).toBe(2000);
    // 200 for each, and what 100 invocations of two processes leave room for.
    expect(backlog(50)).toBe(50 * 200 + 200);
    expect(backlog(50, { maxBacklogPacks: 300 })).toBe(300);
  });

  it('has the providers of a GPU where the stack has workers, unless it names others', () => {
    const parts = { maxWorkers: 1, hasQuarantine: false };
    expect(settingsOf({}, parts).worker?.providers).toEqual(['tensorrt', 'cuda']);
    expect(settingsOf({ worker: { providers: ['cuda'] } }, parts).worker?.providers).toEqual(['cuda']);
    expect(settingsOf({}, { hasQuarantine: false })).toEqual({});
  });

  it('names the models that functions need the manifests of, those on trial too, and only such as fit', async () => {
    const folders = await packagedModels(checkedPipeline(cascade, { hasQuarantine: false }));
    expect(folders.map((folder) => folder.split('/').at(-1))).toEqual(['quality']);
    const shadow = (model: string): PipelineSettings => ({
      cascade: { stages: [{ name: 'one', model: 'quality', shadow: model }] },
    });
    const packaged = (settings: PipelineSettings) =>
      packagedModels(checkedPipeline(settings, { hasQuarantine: false }));
    await expect(packaged(shadow('not-there'))).rejects.toMatchObject({ code: 'model-invalid' });
    await expect(packaged(shadow('/opt/elsewhere'))).rejects.toThrow('expected a folder in models/');
    const boxes = { stage: 'one', boxes: { labels: ['cat'] } };
    const unfit: PipelineSettings = {
      cascade: {
        stages: [
          { name: 'one', model: 'quality' },
          { name: 'two', model: 'quality', from: boxes },
        ],
      },
    };
    await expect(packaged(unfit)).rejects.toMatchObject({ code: 'config-invalid' });
  });
});
