import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writePhotos } from '#test/support/photo-folder.ts';
import { lastLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

describe('the sluice command', () => {
  it('teaches: help with examples, settings and exit codes', async () => {
    const { stdout, exitCode } = await sluice('run', '--help').result;
    expect(exitCode).toBe(0);
    for (const part of ['Examples:', 'Exit codes:', '--max-pixels', '--fail-on', 'SLUICE_'])
      expect(stdout).toContain(part);
  });

  it.each([
    [['run', '/nowhere', '--out', 'x'], /expected a folder or a manifest/],
    [['run', '.'], /required option '-o, --out/],
    [['run', '.', '--out', 'x', '--no-such-flag'], /unknown option/],
    [['run', '.', '--out', 'x', '--batch-size', 'many', '--pack-size', '0'], /2 bad value/],
    [['explain', '/nowhere.jpg'], /expected an image file, found nothing/],
    [['explain', '.'], /"\." is none: "sluice run" audits folders/],
    [['run', 'docs', '--out', 'README.md'], /--out: expected a folder/],
    [
      ['run', '.', '--out', '/tmp/sluice-never-made', '--model', 'no-such-model'],
      /model "no-such-model" cannot be read/,
    ],
  ])('answers %j with exit code 2 and what to do', async (args, message) => {
    const { stderr, exitCode } = await sluice(...args).result;
    expect([exitCode, stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  it('prints a table, finishes at once when there is nothing left to do, and can fail on a verdict', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    const out = join(folder.path, 'out');
    await writePhotos(photos, 20);
    const first = await sluice('run', photos, '--out', out).result;
    expect(first.stdout).toMatch(/20 images = 18 audited \+ 2 unreadable \+ 0 failed/);
    expect(first.stdout).toMatch(/exact duplicate/);
    const again = await sluice('run', photos, '--out', out, '--fail-on', 'review', '--json').result;
    expect(again.exitCode).toBe(4);
    expect(lastLine(again).verdicts['review']).toBeGreaterThan(0);
    expect(again.stderr).not.toMatch(/--force/);
  });

  it('says when the source of a finished job has changed, and audits it anew with --force', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    const out = join(photos, 'results');
    await writePhotos(photos, 10);
    await sluice('run', photos, '--out', out, '--quiet').result;
    await writeFile(join(photos, '0003.jpg'), 'changed');
    await writeFile(join(photos, 'new.jpg'), 'new');
    const again = await sluice('run', photos, '--out', out, '--json').result;
    expect(again.stderr).toMatch(/1 new, 1 changed: --force/);
    expect(lastLine(again)).toMatchObject({ planned: 10, unreadable: 1 });
    const forced = await sluice('run', photos, '--out', out, '--json', '--force').result;
    // The results lie in the source's own folder, and are not audited.
    expect(lastLine(forced)).toMatchObject({ planned: 11, unreadable: 3 });
  });

  it('audits what has come into a source that was empty the first time', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await mkdir(photos);
    const run = ['run', photos, '--out', join(folder.path, 'out'), '--json'];
    expect(await sluice(...run).result).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/nothing to audit/),
    });
    await writePhotos(photos, 2);
    expect(lastLine(await sluice(...run).result)).toMatchObject({ planned: 2, audited: 2 });
  });

  it('refuses other limits on results that were made under these, instead of passing those off for new ones', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    const run = (...flags: string[]) =>
      sluice('run', photos, '--out', join(folder.path, 'out'), '--json', ...flags).result;
    await writePhotos(photos, 3);
    expect(lastLine(await run())).toMatchObject({ audited: 3 });
    const strict = await run('--max-pixels', '1000');
    expect([strict.exitCode, strict.stderr]).toEqual([2, expect.stringMatching(/limits.*--force/)]);
    expect(lastLine(await run('--max-pixels', '1000', '--force'))).toMatchObject({ unreadable: 3 });
  });

  it('decides anew under another policy without decoding anything', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    const out = join(folder.path, 'out');
    await writePhotos(photos, 20);
    await sluice('run', photos, '--out', out, '--quiet').result;
    const policy = join(folder.path, 'policy.json');
    const rule = { check: 'wide', when: { measure: 'width', above: 10 }, verdict: 'reject' };
    await writeFile(policy, JSON.stringify({ rules: [rule] }));
    const result = await sluice('run', photos, '--out', out, '--policy', policy, '--json').result;
    expect(lastLine(result)).toMatchObject({ verdicts: { reject: 18, unreadable: 2 }, imagesPerSecond: 0 });
  });

  it('refuses a policy that speaks of a measure which is not there, and says which are', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    await writePhotos(photos, 1);
    const policy = join(folder.path, 'policy.json');
    const rule = { check: 'dark', when: { measure: 'drak', below: 0.9 }, verdict: 'reject' };
    await writeFile(policy, JSON.stringify({ rules: [rule] }));
    const run = ['run', photos, '--out', join(folder.path, 'out')];
    for (const args of [run, ['explain', join(photos, '0000.jpg')]]) {
      const { exitCode, stderr } = await sluice(...args, '--policy', policy).result;
      expect([exitCode, stderr]).toEqual([2, expect.stringMatching(/"drak".*"quality".*dark, bright/)]);
    }
  });

  it('writes CSV and JSON Lines on request, and a report and a summary always', async () => {
    await using folder = await temporaryFolder();
    const photos = join(folder.path, 'photos');
    const out = join(folder.path, 'out');
    await writePhotos(photos, 10);
    const args = ['run', photos, '--out', out, '--format', 'csv', '--format', 'jsonl', '--quiet'];
    expect((await sluice(...args).result).exitCode).toBe(0);
    const lines = async (file: string) => (await readFile(join(out, file), 'utf8')).trim().split('\n').length;
    expect([await lines('audit.csv'), await lines('audit.jsonl')]).toEqual([11, 10]);
    expect(await readFile(join(out, 'report.html'), 'utf8')).toContain('</html>');
    expect(JSON.parse(await readFile(join(out, 'summary.json'), 'utf8'))).toMatchObject({ planned: 10 });
  });

  it('explains one image: its scores beside the thresholds, and the receipt', async () => {
    await using folder = await temporaryFolder();
    await writePhotos(folder.path, 10);
    const { stdout } = await sluice('explain', join(folder.path, '0000.jpg')).result;
    for (const part of ['verdict', '320 × 240', 'dark', 'flags below', 'perceptual hash', 'sha256'])
      expect(stdout).toContain(part);
    const refused = await sluice('explain', join(folder.path, '0009.jpg'), '--json').result;
    expect(JSON.parse(refused.stdout)).toMatchObject({ state: 'unreadable', error_code: 'not-an-image' });
  });
});
