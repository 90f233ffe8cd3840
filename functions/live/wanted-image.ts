import type { ImageMessage } from '#core/messages.ts';
import { isOwn, ownPlaces } from '#core/own-places.ts';
import type { PipelineConfig } from '#core/pipeline-config.ts';
import { sourceFilter } from '../planning/source-filter.ts';

/** Whether a new object is audited on the live lane: none that the pipeline wrote itself, nor what its filter keeps out. */
export function wantedImage(
  config: Pick<PipelineConfig, 'work' | 'actions' | 'live'>,
): (image: Pick<ImageMessage, 'bucket' | 'ref' | 'at'>) => boolean {
  const places = ownPlaces(config);
  const isWanted = sourceFilter(config.live.filter);
  return ({ bucket, ref: { key, bytes }, at }) =>
    !isOwn(places, bucket, key) &&
    // An event that does not tell the size says 0.
    isWanted({ key, bytes: bytes === 0 ? undefined : bytes, modifiedAt: new Date(at) });
}
