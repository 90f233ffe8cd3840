import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePhotos } from '#test/support/photo-folder.ts';
import { query } from '#test/support/query.ts';
import { lastLine, type RunLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';
import { endlessModel, meansModel, putModel, unshapelyModel } from '#test/support/tiny-models.ts';

describe("a model of one's own, from the command line", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let models: string;
  let photos: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    models = join(folder.path, 'models');
    photos = join(folder.path, 'photos');
    await writePhotos(photos, 12);
    await putModel(folder.path, meansModel({ batch: 1 }), 'colour.onnx');
  });
  afterAll(() => folder?.[Symbol.asyncDispose]());

  const imported = (...flags: string[]) =>
    sluice(
      ...['models', 'import', join(folder.path, 'colour.onnx'), '--out', models, '--force'],
      ...['--preset', 'zero-one', '--output-decode', 'scores', '--labels', 'red,green,blue', ...flags],
    ).result;

  it('is imported with one command, and run through the ordinary pipeline', async () => {
    const { exitCode, stdout, stderr } = await imported('--review', 'red above 0.0001');
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toContain('red, green, blue');

    const result = await sluice(
      'run',
      photos,
      '--model',
      join(models, 'colour'),
      '--out',
      join(folder.path, 'audit'),
      '--json',
    ).result;
    expect(result.exitCode, result.stderr).toBe(0);
    const line = lastLine(result);
    expect(line).toMatchObject({
      planned: 12,
      audited: 11,
      unreadable: 1,
      verdicts: { review: 11, unreadable: 1 },
    });
    const original = await sha256(await readFile(join(folder.path, 'colour.onnx')));
    expect(await query(`SELECT DISTINCT original_sha256 FROM '${line.outputs.audit}'`)).toEqual([
      { original_sha256: original },
    ]);
    const rows = await query(
      `SELECT score_red, score_green, score_blue FROM '${line.outputs.audit}' WHERE state = 'audited'`,
    );
    for (const row of rows)
      for (const score of Object.values(row))
        expect(Number(score)).toSatisfy((x: number) => x > 0.2 && x < 0.8);
  });

  it('gives no row of an earlier run once its outputs are read in another way', async () => {
    await imported();
    const out = join(folder.path, 'read anew');
    const run = (...flags: string[]) =>
      sluice('run', photos, '--model', join(models, 'colour'), '--out', out, '--json', '--quiet', ...flags)
        .result;
    const receipt = ({ outputs }: RunLine) =>
      query(`SELECT DISTINCT model_sha256, preprocess_hash, decode_hash FROM '${outputs.audit}'`);
    const [before] = await receipt(lastLine(await run()));

    const path = join(models, 'colour', 'model.json');
    const manifest = JSON.parse(await readFile(path, 'utf8')) as { outputs: { decode: string }[] };
    const outputs = manifest.outputs.map((output) => ({ ...output, decode: 'softmax' }));
    await writeFile(path, JSON.stringify({ ...manifest, outputs }));
    expect(await run()).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/holds another job/) });
    const [after] = await receipt(lastLine(await run('--force')));
    expect(after).toEqual({
      ...before,
      decode_hash: expect.not.stringMatching(`^${before?.['decode_hash']}$`),
    });
  });

  it('is verified, and fails with exit code 1 once its preprocessing is another', async () => {
    await imported();
    const images = ['--images', join(photos, '0000.jpg')];
    const verify = (...flags: string[]) =>
      sluice('models', 'verify', join(models, 'colour'), ...flags).result;
    const byItself = await verify(...images, '--original', join(folder.path, 'colour.onnx'));
    expect(byItself.exitCode).toBe(0);
    // What was not checked is nothing to check against later.
    expect(await verify()).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/no golden results/) });

    const out = join(folder.path, 'right');
    const { outputs } = lastLine(
      await sluice('run', photos, '--model', join(models, 'colour'), '--out', out, '--json').result,
    );
    const [right] = await query(
      `SELECT score_red AS red, score_green AS green, score_blue AS blue FROM '${outputs.audit}' WHERE key = '0000.jpg'`,
    );
    const expected = join(folder.path, 'expected.json');
    await writeFile(expected, JSON.stringify({ '0000.jpg': right }));
    expect(await verify(...images, '--expected', expected)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await verify()).toMatchObject({ exitCode: 0, stderr: '' });

    const path = join(models, 'colour', 'model.json');
    const manifest = JSON.parse(await readFile(path, 'utf8')) as { preprocess: { kernel: string } };
    manifest.preprocess.kernel = 'nearest';
    await writeFile(path, JSON.stringify(manifest));
    const { exitCode, stderr, stdout } = await verify();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/pixels of "000.jpg" differ by/);
    expect(stdout).toContain('NOT within the tolerances');
  });

  it('asks no question where nobody can answer, but says which flag is missing', async () => {
    const { exitCode, stderr } = await sluice(
      'models',
      'import',
      join(folder.path, 'colour.onnx'),
      '--out',
      models,
      '--name',
      'x',
    ).result;
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/--preset/);
  });

  it('that fails when it runs is refused in one sentence, without what ONNX Runtime logs', async () => {
    await putModel(folder.path, unshapelyModel(), 'unshapely.onnx');
    const flags = ['--preset', 'zero-one', '--output-decode', 'scores', '--labels', 'red,green,blue'];
    const { exitCode, stderr } = await sluice(
      ...['models', 'import', join(folder.path, 'unshapely.onnx'), '--out', models, ...flags],
    ).result;
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^[^\n]*trial run[^\n]*Reshape node[^\n]*\n$/);
  });

  it('that never ends is stopped, and its images are failed rows', async () => {
    await imported('--name', 'endless');
    // What import would have refused: the graph is exchanged behind its back.
    const path = join(models, 'endless');
    const bytes = endlessModel({ prepared: true });
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'endless.onnx'), bytes);
    const manifest = JSON.parse(await readFile(join(path, 'model.json'), 'utf8')) as Record<string, unknown>;
    const inputs = [{ name: 'x', from: 'pixels' }];
    const exchanged = { ...manifest, sha256: await sha256(bytes), inputs };
    await writeFile(join(path, 'model.json'), JSON.stringify(exchanged));

    const out = join(folder.path, 'endless-audit');
    const result = await sluice(
      ...['run', photos, '--model', path, '--out', out, '--max-seconds-per-run', '1', '--json'],
    ).result;
    expect(result.exitCode, result.stderr).toBe(3);
    expect(result.stderr).toMatch(/stage "endless" fails: the model is given up/);
    const { outputs, ...counts } = lastLine(result);
    expect(counts).toMatchObject({ planned: 12, audited: 0, failed: 12, verdicts: { pass: 0 } });
    const rows = await query(`SELECT DISTINCT state, verdict, error_detail FROM '${outputs.audit}'`);
    expect(rows).toEqual([
      {
        state: 'failed',
        verdict: null,
        error_detail: expect.stringMatching(/did not end within 1 s on a batch of 1, and was stopped/),
      },
    ]);
  });
});

async function sha256(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(bytes))).toString('hex');
}
