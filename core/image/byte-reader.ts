/**
 * Reads numbers out of untrusted bytes. Every read is checked: outside the bytes the answer is `undefined`,
 * never an exception, so that a parser of hostile headers is a plain chain of conditions.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #littleEndian: boolean;

  constructor(bytes: Uint8Array, byteOrder: 'big' | 'little' = 'big') {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#littleEndian = byteOrder === 'little';
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(offset: number): number | undefined {
    return this.bytes[offset];
  }

  u16(offset: number): number | undefined {
    return this.#holds(offset, 2) ? this.#view.getUint16(offset, this.#littleEndian) : undefined;
  }

  u24(offset: number): number | undefined {
    if (!this.#holds(offset, 3)) return undefined;
    const [a, b, c] = [this.bytes[offset]!, this.bytes[offset + 1]!, this.bytes[offset + 2]!];
    return this.#littleEndian ? a | (b << 8) | (c << 16) : (a << 16) | (b << 8) | c;
  }

  u32(offset: number): number | undefined {
    return this.#holds(offset, 4) ? this.#view.getUint32(offset, this.#littleEndian) : undefined;
  }

  i32(offset: number): number | undefined {
    return this.#holds(offset, 4) ? this.#view.getInt32(offset, this.#littleEndian) : undefined;
  }

  /** An unsigned 64-bit number; above 2^53 it is rounded, which is far outside any file all the same. */
  u64(offset: number): number | undefined {
    return this.#holds(offset, 8) ? Number(this.#view.getBigUint64(offset, this.#littleEndian)) : undefined;
  }

  /** `length` bytes as ISO 8859-1 text; shorter at the end of the bytes. */
  text(offset: number, length: number): string {
    let text = '';
    const end = Math.min(this.bytes.length, offset + length);
    for (let i = Math.max(0, offset); i < end; i++) text += String.fromCharCode(this.bytes[i]!);
    return text;
  }

  #holds(offset: number, length: number): boolean {
    return offset >= 0 && offset + length <= this.bytes.length;
  }
}
