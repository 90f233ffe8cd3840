import { messageOf } from '#core/error.ts';
import { type Refusal, type RefusalCode, refusal } from '#core/refusal.ts';

/** What decoders say, and what it means; the first line that fits counts. Everything else is corrupt. */
const MEANINGS: readonly [said: RegExp, code: RefusalCode, detail: string][] = [
  // The format was told by its magic bytes: a loader that does not know it finds it damaged.
  [/unsupported image format/i, 'corrupt', 'the decoder gave up'],
  [/pixel limit|security limit|too large|exceeds/i, 'too-many-pixels', 'the decoder refuses its size'],
  [
    /premature end|unexpected end|end of (file|stream|source|data)|truncated|bad seek|seek error|not enough|too short|read error at|out of data/i,
    'truncated',
    'the file ends before the picture does',
  ],
  [
    /not been built|unsupported|not supported|no decoding plugin/i,
    'unsupported-format',
    'no decoder for this kind',
  ],
];

/**
 * The refusal for what a decoder threw. Of its words only letters, digits and simple marks are kept, and no path:
 * some decoders quote file names, or bytes of the file.
 */
export function decoderRefusal(error: unknown): Refusal {
  const said = messageOf(error);
  const [, code, detail] = MEANINGS.find(([pattern]) => pattern.test(said)) ?? [
    undefined,
    'corrupt',
    'the decoder gave up',
  ];
  const reason = cleaned(said);
  return refusal(code as RefusalCode, reason === '' ? detail : `${detail} (${reason})`);
}

function cleaned(said: string): string {
  const firstLine = said.split('\n').find((line) => line.trim() !== '') ?? '';
  return firstLine
    .replace(/\S*[/\\]\S*/g, '')
    .replace(/[^\w ,.:()'+-]/g, '')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 120);
}
