/** 32 bits as 8 hex digits. */
export function hexWord(bits: number): string {
  return (bits >>> 0).toString(16).padStart(8, '0');
}
