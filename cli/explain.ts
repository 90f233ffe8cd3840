import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { FolderStore } from '#adapters/folder-store.ts';
import { loadStages } from '#adapters/load-stages.ts';
import { loadModel, loadPolicy } from '#adapters/model-folder.ts';
import { softwareVersion } from '#adapters/software-version.ts';
import { type AuditRecord, auditColumns } from '#core/audit-record.ts';
import { readOutputs } from '#core/decode/read-outputs.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { type PackId, packKey } from '#core/job-layout.ts';
import { scoreNames } from '#core/model-manifest.ts';
import { modelReceipt } from '#core/model-receipt.ts';
import { decodePack } from '#core/pack.ts';
import { recordsOfPack } from '#core/pack-records.ts';
import { policyHash } from '#core/policy.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { batchOf } from '#workers/model-batch.ts';
import { EXIT } from './exit-codes.ts';
import { explanation } from './explanation.ts';
import { cpuEngine, decodingProcesses } from './local-job.ts';
import { readConfig } from './read-config.ts';

/** `sluice explain`: one image through the very stages of a job, with everything shown. @returns the exit code. */
export async function explain(
  imagePath: string,
  flags: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const config = await readConfig({ flags, env, file: flags['config'] as string | undefined });
  const policyFile = config.policy === undefined ? undefined : await loadPolicy(config.policy);
  const { first: model } = await loadStages({ model: config.model, policy: policyFile }, loadModel);
  const { policy } = model;
  const path = resolve(imagePath);
  await expectFile(imagePath);
  const source = new FolderStore(dirname(path));
  const key = basename(path);
  const ref = (await source.head(key)) ?? { key, etag: '', bytes: 0 };
  const id: PackId = { job: 'explain', stage: model.manifest.name, name: 'image' };

  const folder = await mkdtemp(join(tmpdir(), 'sluice-explain-'));
  try {
    const location: StoreLocation = { kind: 'folder', root: folder };
    await using decoders = decodingProcesses({ ...config, processes: 1 }, location);
    const spec = model.manifest.preprocess;
    await decoders.build({
      id,
      source: { kind: 'folder', root: dirname(path) },
      refs: [ref],
      preprocess: spec,
      preprocessHash: preprocessHash(spec),
    });
    const { body } = await new FolderStore(folder).get(packKey(id));
    const pack = decodePack(body);
    await using engine = await cpuEngine(model, config);
    const images = pack.header.items.length;
    const outputs = images === 0 ? undefined : await engine.run(batchOf([pack], model.manifest));
    const results = outputs === undefined ? [] : readOutputs(outputs, model.manifest, pack.header.items);
    const scores = results.map((result) => result.scores);
    const detections = results[0]?.detections ?? [];
    const [record] = recordsOfPack(pack.header, scores, policy, {
      job: id.job,
      stage: id.stage,
      pack: pack.header.pack,
      ...modelReceipt(model.manifest),
      policyHash: policyHash(policy),
      softwareVersion: softwareVersion(),
      decoderVersion: pack.header.decoderVersion,
      provider: engine.provider,
    }) as [AuditRecord];
    if (flags['json'] === true) {
      const columns = auditColumns(scoreNames(model.manifest));
      const row = Object.fromEntries(columns.map((column) => [column.name, column.read(record)]));
      const objects = model.manifest.detector === undefined ? {} : { objects: detections };
      process.stdout.write(`${JSON.stringify({ ...row, ...objects }, null, 2)}\n`);
    } else {
      process.stdout.write(explanation(record, policy, spec, detections));
    }
    return EXIT.ok;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @throws SluiceError `source-invalid` where there is no file. */
async function expectFile(path: string): Promise<void> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new SluiceError(
      'source-invalid',
      `expected an image file, found nothing at "${path}" (${messageOf(cause)})`,
      { cause },
    );
  });
  if (info.isFile()) return;
  const advice = info.isDirectory() ? ': "sluice run" audits folders' : '';
  throw new SluiceError('source-invalid', `expected an image file, "${path}" is none${advice}`);
}
