import type { RefusalCode } from '#core/refusal.ts';

/** What each refusal code means to somebody who looks after the images, and what to do about it. */
export const REFUSAL_MEANINGS: Readonly<Record<RefusalCode, string>> = {
  empty: 'The file has no bytes at all. Usually an upload that was interrupted before it began.',
  missing: 'The file was listed but was gone when its turn came.',
  forbidden: 'The file exists but reading it was refused. Check its permissions.',
  'not-an-image': 'The content is something else: text, a web page, an archive, whatever its name says.',
  'unsupported-format': 'A picture format that is not audited, such as SVG or PDF.',
  corrupt: 'It is an image, but its data contradicts itself and cannot be decoded faithfully.',
  truncated: 'The image breaks off before its end. A fresh copy of the original may be whole.',
  'too-many-bytes': 'The file is larger than the size limit of this job.',
  'too-many-pixels': 'The picture has, or claims to have, more pixels than the limit of this job.',
  'too-many-frames': 'The animation or document has more frames or pages than the limit of this job.',
  'timed-out': 'Decoding took longer than the time one image may take, so it was stopped.',
};
