import { basename } from 'node:path';
import { sha256Hex } from '#core/canonical-json.ts';
import { readOutputs } from '#core/decode/read-outputs.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { type DetectorHead, ModelManifest, scoreNames } from '#core/model-manifest.ts';
import { measuresOf, type Policy } from '#core/policy.ts';
import { knownMeasures } from '#core/stages.ts';
import { type ChosenOutputs, reducible } from './choose-outputs.ts';
import type { SettledInput } from './settle-input.ts';
import type { FreedModel } from './trial.ts';
import type { Outputs } from './try-model.ts';

/** What a manifest is made of. */
export interface ManifestParts {
  readonly name: string;
  readonly original: { readonly path: string; readonly bytes: Uint8Array };
  readonly settled: SettledInput;
  readonly chosen: ChosenOutputs;
  readonly freed: FreedModel;
  readonly policy: Policy['rules'];
}

/** @throws SluiceError `config-invalid` where a rule speaks of a score that there is not. */
export function buildManifest({
  name,
  original,
  settled,
  chosen,
  freed,
  policy,
}: ManifestParts): ModelManifest {
  const { prepared, batch } = freed;
  const { wishes, tensor, preprocess } = settled;
  // Outputs that had to be cast have other names now.
  const renamed = new Map(chosen.outputs.map(({ name: old }, i) => [old, prepared.outputs[i] as string]));
  const rename = (old: string): string => renamed.get(old) ?? old;
  const { detector } = chosen;
  const manifest = {
    schema: 1,
    name,
    description: wishes.description ?? '',
    license: wishes.license ?? 'unknown',
    source: wishes.source ?? basename(original.path),
    file: `${name}.onnx`,
    sha256: sha256Hex(prepared.bytes),
    preprocess,
    inputs: [{ name: prepared.input, from: 'pixels' }],
    outputs: chosen.outputs.map((output) => ({ ...output, name: rename(output.name) })),
    ...(detector && { detector: { ...detector, head: preparedHead(detector.head, rename) } }),
    ...(batch.fixedBatch !== undefined && { maxBatch: batch.fixedBatch }),
    prepared: { originalSha256: sha256Hex(original.bytes), ...tensor, reduced: reducible(chosen) },
    policy: { rules: policy },
  };
  return withKnownMeasures(ModelManifest.parse(manifest));
}

/** A rule on a score that does not exist would never flag, and nobody would know. */
function withKnownMeasures(manifest: ModelManifest): ModelManifest {
  const known = knownMeasures(scoreNames(manifest));
  const unknown = measuresOf(manifest.policy).filter((measure) => !known.includes(measure));
  if (unknown.length === 0) return manifest;
  throw new SluiceError(
    'config-invalid',
    `there is no score "${unknown.join('", "')}" to make a rule on: the model gives ${known.slice(0, 20).join(', ')}`,
  );
}

/** The head as the prepared graph has it. */
function preparedHead(head: DetectorHead, rename: (name: string) => string): DetectorHead {
  switch (head.kind) {
    case 'yolo-v5':
    case 'yolo-v8':
      return { kind: 'anchors', output: rename(head.output) };
    case 'yolox':
      return { kind: 'anchors', output: rename(head.output), stridesPx: head.stridesPx };
    case 'anchors':
    case 'nms-rows':
      return { ...head, output: rename(head.output) };
    case 'ssd':
      return { ...head, scores: rename(head.scores), boxes: rename(head.boxes) };
    case 'nms-parts': {
      const { boxes, scores, classes, count } = head;
      const renamed = { boxes: rename(boxes), scores: rename(scores), classes: rename(classes) };
      return { ...head, ...renamed, count: count === null ? null : rename(count) };
    }
  }
}

/**
 * What cannot be read on ordinary pixels will not be readable on any others.
 *
 * @throws SluiceError `model-invalid`
 */
export function checkScores(runs: readonly Outputs[], manifest: ModelManifest): void {
  for (const outputs of runs) {
    try {
      readOutputs(outputs, manifest, [manifest.preprocess]);
    } catch (cause) {
      throw new SluiceError('model-invalid', `on ordinary pixels ${messageOf(cause)}`, { cause });
    }
  }
}
