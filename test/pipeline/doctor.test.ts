import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkPermissions } from '#adapters/pipeline-permissions.ts';
import { PIPELINE_ROLES } from '#core/pipeline-roles.ts';
import type { FaultRequest } from '#local-aws/server.ts';
import { RunningPipeline } from '#test/support/running-pipeline.ts';
import { sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

describe('the permissions of a pipeline', () => {
  it('are all found, and asking for them leaves nothing behind', async () => {
    await using running = await RunningPipeline.start();
    const findings = await checkPermissions(running.pipeline, PIPELINE_ROLES);
    expect(findings.filter(({ ok }) => !ok)).toEqual([]);
    expect(findings.filter(({ action }) => action === 'sqs:SendMessage').length).toBeGreaterThan(4);
    expect((await running.pipeline.works.list()).objects).toEqual([]);
    for (const name of ['jobs', 'shards', 'events', 'live', 'bulk'] as const)
      expect(await (await running.pipeline.queue(name)).depth()).toEqual({ waiting: 0, leased: 0 });
  });

  it('are missed one by one', async () => {
    const isDenied = ({ method, action, service, url }: FaultRequest): boolean =>
      action === 'ReceiveMessage' || (service === 's3' && method === 'PUT' && !url.startsWith('/?'));
    const fault = (request: FaultRequest) => (isDenied(request) ? ('denied' as const) : undefined);
    await using running = await RunningPipeline.start({ aws: { fault } });
    const findings = await checkPermissions(running.pipeline, ['worker']);
    const missing = findings.filter(({ ok }) => !ok);
    expect(missing.map(({ action, resource }) => `${action} ${resource.replace(/s3:.*/, 'work')}`)).toEqual([
      's3:PutObject work',
      // What could not be put is not there either.
      's3:GetObject work',
      'sqs:ReceiveMessage queue live',
      'sqs:ReceiveMessage queue bulk',
    ]);
    expect(missing.at(-1)?.detail).toContain('not allowed');

    await using folder = await temporaryFolder();
    const file = join(folder.path, 'sluice.pipeline.json');
    await writeFile(file, JSON.stringify(running.pipeline.config));
    const { exitCode, stdout } = await sluice('doctor', '--pipeline', file, '--as', 'worker').result;
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/MISSING\s+sqs:ReceiveMessage queue bulk\s+not allowed/);
  });
});
