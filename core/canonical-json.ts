import { createHash } from 'node:crypto';

/**
 * JSON with object keys sorted (by UTF-16 code unit, as RFC 8785 does) and `undefined` members left
 * out, so that equal values give equal bytes whatever order they were built in.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (member === null || typeof member !== 'object' || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}

/** SHA-256 of the bytes, as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The first 16 hex digits of the SHA-256 of the value's {@link canonicalJson}: how specs and policies are named in receipts. */
export function shortHashOf(value: unknown): string {
  return sha256Hex(canonicalJson(value)).slice(0, 16);
}
