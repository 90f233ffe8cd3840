import { expect } from 'vitest';
import { expectedRows, POISON_RED, writeHangingStages, writeTinyCascade } from './tiny-cascade.ts';

/** Enough for a tiny model on a busy machine. */
export const MAX_SECONDS_PER_RUN = 2;

/**
 * A cascade of which two stages hang, one always and one on some pieces, beside others that are well; one of those has a
 * shadow that hangs.
 */
export async function hangingCascade(folder: string): Promise<{ stages: object[] }> {
  const { stages } = await writeTinyCascade(folder);
  const [first, ...rest] = stages;
  const [stuck, picky] = await writeHangingStages(folder);
  const shadowed = rest.map((stage) =>
    stage.name === 'colours' ? { ...stage, shadow: stuck.model } : stage,
  );
  return { stages: [first as object, stuck, picky, ...shadowed] };
}

type Row = Readonly<Record<string, unknown>>;

/** The stages that are well have all their rows; of the others exactly what hung is failed, and says why. */
export function expectOnlyHungFailed(stages: unknown, rows: readonly Row[], images: number): void {
  const { boxes, sure } = expectedRows(images);
  const poison = boxes.filter(([, red]) => red > POISON_RED).map(([name]) => name);
  expect(poison.length).toBeGreaterThan(1);
  const all = { planned: boxes.length, unreadable: 0 };
  expect(stages).toMatchObject([
    { stage: 'halves', planned: images, audited: images - 1, unreadable: 1, failed: 0 },
    { stage: 'stuck', ...all, audited: 0, failed: boxes.length },
    { stage: 'picky', ...all, audited: boxes.length - poison.length, failed: poison.length },
    { stage: 'colours', ...all, audited: boxes.length, failed: 0 },
    { stage: 'sure', planned: sure.length, audited: sure.length, failed: 0 },
  ]);
  const of = (stage: string): Row[] => rows.filter((row) => row['stage'] === stage);
  const reds = (stage: string, score: string) => of(stage).map((row) => [nameOf(row), row[score]]);
  expect(reds('colours', 'score_red')).toEqual(boxes);
  expect(of('sure').map(nameOf)).toEqual(sure);
  expect(reds('picky', 'score_level_r')).toEqual(
    boxes.map(([name, red]) => [name, poison.includes(name) ? null : red]),
  );
  for (const row of of('picky').filter(({ state }) => state === 'failed')) {
    expect(row['error_code']).toBe('engine-failed');
    expect(row['error_detail']).toMatch(/did not end within 2 s on a batch of 1, and was stopped/);
  }
  for (const row of of('stuck')) {
    expect([row['state'], row['verdict']]).toEqual(['failed', null]);
    expect(row['error_detail']).toMatch(/model is given up.*4 times in a row.*did not end within 2 s/);
  }
}

/** The shadow that hangs costs nothing but its own scores, and it is said why they are missing. */
export function expectShadowReported(summary: unknown, rows: readonly Row[], images: number): void {
  const { boxes } = expectedRows(images);
  const why = expect.stringMatching(/did not end within 2 s/);
  expect(summary).toMatchObject({
    shadows: [{ stage: 'colours', model: 'stuck', compared: 0, failed: boxes.length, failure: why }],
  });
  const colours = rows.filter(({ stage }) => stage === 'colours');
  expect(colours.map((row) => [row['shadow_error'], row['shadow_score_level_r']])).toEqual(
    boxes.map(() => [why, null]),
  );
}

function nameOf({ key, region }: Row): string {
  return region === null ? String(key) : `${key}#xywh=${region}`;
}
