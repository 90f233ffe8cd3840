import { sha256Hex } from '#core/canonical-json.ts';
import { ModelManifest } from '#core/model-manifest.ts';
import { buildQualityGraph } from './quality/graph.ts';
import { qualityManifest } from './quality/manifest.ts';

/** A model as the files of its folder. */
export interface BuiltModel {
  /** The folder, below `models/`. */
  readonly folder: string;
  /** The contents by file name. */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** Builds the models that come with Sluice. The same source gives the same bytes. */
export function buildModels(): BuiltModel[] {
  const onnx = buildQualityGraph();
  const manifest = qualityManifest(sha256Hex(onnx));
  ModelManifest.parse(manifest);
  return [{ folder: 'quality', files: { [manifest.file]: onnx, 'model.json': toJsonFile(manifest) } }];
}

/** JSON as the formatter of this repository writes it: lists of plain values on one line. */
function toJsonFile(value: unknown): Uint8Array {
  const json = JSON.stringify(value, null, 2).replace(
    /\[\s+([^[\]{}]*?)\s+\]/g,
    (_, items: string) => `[${items.replace(/,\s+/g, ', ')}]`,
  );
  return new TextEncoder().encode(`${json}\n`);
}
