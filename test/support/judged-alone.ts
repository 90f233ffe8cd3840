import { availableParallelism } from 'node:os';
import { FolderStore } from '#adapters/folder-store.ts';
import { loadModel } from '#adapters/model-folder.ts';
import { OnnxEngine } from '#adapters/onnx-engine.ts';
import { RunConfig } from '#core/config.ts';
import type { Detection } from '#core/decode/detection.ts';
import { readOutputs } from '#core/decode/read-outputs.ts';
import type { Size } from '#core/geometry.ts';
import { packKey } from '#core/job-layout.ts';
import { decodePack } from '#core/pack.ts';
import type { ObjectInfo } from '#core/ports/object-store.ts';
import { preprocessHash } from '#core/preprocess-spec.ts';
import type { StoreLocation } from '#core/store-location.ts';
import { PackProcesses } from '#functions/preprocessing/pack-processes.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** What a detector says of one file by itself: where its objects are in the upright picture, or why it cannot say. */
export type Judged = (Size & { readonly objects: readonly Detection[] }) | { readonly refusal: string };

/** What `sluice explain` would say of every file below a folder, by key, in their order: one decoding, one image a run. */
export async function judgedAlone(model: string, photos: string): Promise<ReadonlyMap<string, Judged>> {
  const { manifest, modelPath } = await loadModel(model);
  const refs = await allObjects(new FolderStore(photos));
  await using folder = await temporaryFolder();
  const works: StoreLocation = { kind: 'folder', root: folder.path };
  const config = RunConfig.parse({});
  await using decoders = new PackProcesses(availableParallelism(), {
    works,
    limits: config.limits,
    options: { ...config, maxImageBytes: config.limits.maxImageBytes },
  });
  const { preprocess: spec } = manifest;
  const id = { job: 'alone', stage: manifest.name, name: 'all' };
  const source: StoreLocation = { kind: 'folder', root: photos };
  await decoders.build({ id, source, refs, preprocess: spec, preprocessHash: preprocessHash(spec) });
  const { header, images } = decodePack((await new FolderStore(folder.path).get(packKey(id))).body);

  const judged = new Map<string, Judged>();
  for (const { ref, refusal } of header.refused) judged.set(ref.key, { refusal: refusal.code });
  await using engine = await OnnxEngine.load({ modelPath, provider: 'cpu', threads: 1, maxBatch: 1 });
  const bytes = spec.widthPx * spec.heightPx * 3;
  for (const [i, item] of header.items.entries()) {
    const data = new Uint8Array(images.subarray(i * bytes, (i + 1) * bytes));
    const shape = [1, spec.heightPx, spec.widthPx, 3];
    const outputs = await engine.run({ [manifest.inputs[0]?.name ?? '']: { dtype: 'uint8', shape, data } });
    const [result] = readOutputs(outputs, manifest, [item]);
    const { widthPx, heightPx } = item;
    judged.set(item.ref.key, { widthPx, heightPx, objects: result?.detections ?? [] });
  }
  return new Map(refs.map(({ key }) => [key, judged.get(key) as Judged]));
}

async function allObjects(store: FolderStore): Promise<ObjectInfo[]> {
  const all: ObjectInfo[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list(cursor === undefined ? {} : { cursor });
    all.push(...page.objects);
    cursor = page.next;
  } while (cursor !== undefined);
  return all.map(({ key, etag, bytes }) => ({ key, etag, bytes }));
}
