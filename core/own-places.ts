import type { PipelineConfig } from './pipeline-config.ts';
import { parseS3Url } from './store-location.ts';

/** Where a pipeline itself writes objects. */
export interface OwnPlace {
  readonly bucket: string;
  readonly prefix: string;
}

/** First names of what lies in the work store: see core/job-layout.ts. */
const WORK_PREFIXES = [
  'dead/',
  'engines/',
  'jobs/',
  'latest/',
  'open/',
  'packs/',
  'parts/',
  'quarantine/',
  'results/',
  'shards/',
  'workers/',
];

/**
 * The places that a pipeline writes to: its work and its quarantine. They may lie in a bucket whose images are audited; were
 * its own objects audited too, each part and each copy would be the event of another one, without end.
 */
export function ownPlaces({ work, actions }: Pick<PipelineConfig, 'work' | 'actions'>): OwnPlace[] {
  const { bucket, prefix } = parseS3Url(work);
  const quarantines = actions.flatMap((action) => (action.quarantine ? [parseS3Url(action.quarantine)] : []));
  return [
    ...WORK_PREFIXES.map((name) => ({ bucket, prefix: `${withSlash(prefix)}${name}` })),
    ...quarantines.map((place) => ({ bucket: place.bucket, prefix: withSlash(place.prefix) })),
  ];
}

export function isOwn(places: readonly OwnPlace[], bucket: string, key: string): boolean {
  return places.some((place) => place.bucket === bucket && key.startsWith(place.prefix));
}

function withSlash(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}
