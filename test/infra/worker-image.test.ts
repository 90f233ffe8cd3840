import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { partPrefix } from '#core/job-layout.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const DOCKERFILE = 'workers/Dockerfile';

/** The instructions of a Dockerfile with their arguments, continued lines joined. */
async function instructions(): Promise<{ name: string; text: string }[]> {
  const text = (await readFile(DOCKERFILE, 'utf8')).replace(/^#.*$/gm, '').replace(/\\\n/g, ' ');
  return [...text.matchAll(/^([A-Z]+) (.+)$/gm)].map(([, name = '', rest = '']) => ({ name, text: rest }));
}

describe("the workers' image", () => {
  it('starts from a clean install without development packages, and infers a pack on the CPU', async () => {
    const steps = await instructions();
    await using folder = await temporaryFolder();
    for (const { name, text } of steps) {
      if (name !== 'COPY' || text.startsWith('--from')) continue;
      const paths = text.split(' ');
      for (const path of paths.slice(0, -1)) await cp(path, join(folder.path, path), { recursive: true });
    }
    expect(steps.find(({ text }) => text.includes('npm ci'))?.text).toContain('npm ci --omit=dev');
    // As in the image, but from npm's cache where it can be, and without the GPU's files.
    await promisify(execFile)('npm', ['ci', '--omit=dev', '--no-audit', '--no-fund', '--prefer-offline'], {
      cwd: folder.path,
    });

    await using running = await RunningPipeline.start({ config: { packSize: 4, shardSize: 8 } });
    const create = { width: 60, height: 40, channels: 3, background: '#2a7' } as const;
    const bytes = await sharp({ create }).png().toBuffer();
    for (let i = 0; i < 4; i++) running.aws.objects.putObject(running.images, `${i}.png`, bytes);
    running.startFunctions();
    await running.submit('in-image');

    const [, ...entry] = commandOf(steps, 'ENTRYPOINT').map((part) =>
      part.replace('/opt/sluice', folder.path),
    );
    const command = commandOf(steps, 'CMD').map((part) => (part === '8080' ? '0' : part));
    const worker = spawn(process.execPath, [...entry, ...command, '--provider', 'cpu', '--threads', '1'], {
      cwd: folder.path,
      env: { ...running.env, NODE_ENV: 'production' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const said: Buffer[] = [];
    worker.stderr.on('data', (chunk: Buffer) => said.push(chunk));
    const ended = once(worker, 'exit');
    try {
      const prefix = partPrefix('in-image', 'quality');
      while ((await running.pipeline.works.list({ prefix })).objects.length < 1) {
        expect(worker.exitCode, Buffer.concat(said).toString()).toBeNull();
        await sleep(100);
      }
    } finally {
      worker.kill('SIGTERM');
    }
    expect(await ended).toEqual([0, null]);
  });

  it('runs as somebody else than root, says whether it is well, and pins what it is made of', async () => {
    const steps = await instructions();
    expect(steps.findLast(({ name }) => name === 'USER')?.text).toBe('sluice');
    expect(steps.some(({ name }) => name === 'HEALTHCHECK')).toBe(true);
    for (const { name, text } of steps) if (name === 'FROM') expect(text).toMatch(/:[\w.-]*\d+\.\d+\.\d+/);
    const packages = steps.find(({ text }) => text.startsWith('apt-get'))?.text.match(/libnv\S+/g) ?? [];
    expect(packages.length).toBeGreaterThan(5);
    expect(steps.some(({ name, text }) => name === 'ARG' && /^TENSORRT=\d+\.\d+\.\d+\.\d+$/.test(text))).toBe(
      true,
    );
    for (const name of packages) expect(name).toMatch(/=\$\{TENSORRT_PACKAGE\}$/);
  });
});

function commandOf(steps: readonly { name: string; text: string }[], name: 'ENTRYPOINT' | 'CMD'): string[] {
  return JSON.parse(steps.findLast((step) => step.name === name)?.text ?? '[]') as string[];
}
