import { labelsFromPythonDict } from './labels.ts';
import { PRESETS } from './presets.ts';
import type { Wishes } from './wishes.ts';

/**
 * What an export of Ultralytics tells of itself in the model's metadata.
 *
 * Source: ultralytics/ultralytics, ultralytics/engine/exporter.py (`self.metadata`). Classifiers scale the shorter side
 * to the input and crop (ultralytics/data/augment.py, `classify_transforms`).
 */
export function ultralyticsWishes(metadata: ReadonlyMap<string, string>): Wishes {
  const task = metadata.get('task');
  if (!/ultralytics/i.test(metadata.get('author') ?? '') || task === undefined) return {};
  const [heightPx, widthPx] = (metadata.get('imgsz') ?? '').match(/\d+/g)?.map(Number) ?? [];
  const shared: Wishes = {
    labels: labelsFromPythonDict(metadata.get('names') ?? ''),
    license: metadata.get('license'),
    description: metadata.get('description'),
    widthPx,
    heightPx,
  };
  if (task === 'detect') return { ...PRESETS['yolo'], ...shared };
  if (task === 'classify')
    return {
      ...PRESETS['zero-one'],
      resize: { mode: 'center-crop', cropFraction: 1 },
      decode: 'scores',
      ...shared,
    };
  return shared;
}
