/** CRC-32's polynomial without its highest power, the power of 0 in the highest bit. */
const POLYNOMIAL = 0xedb88320;
const ONE = 0x80000000;

/**
 * Appends pieces that are all of one length: from the CRC-32 of what comes before a piece, and that of the piece, makes the CRC-32 of both
 * together, without looking at a byte. What comes before is shifted by the length of the piece: multiplied, as a polynomial over GF(2), by x
 * to the power of the piece's bits.
 *
 * Source: zlib, crc32.c (`crc32_combine_gen`, `crc32_combine_op`).
 */
export function crc32Appender(pieceBytes: number): (before: number, piece: number) => number {
  const shift = powerOfX(8 * pieceBytes);
  return (before, piece) => (product(shift, before) ^ piece) >>> 0;
}

function powerOfX(exponent: number): number {
  let power = ONE;
  let square = ONE >>> 1;
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = product(square, power);
    square = product(square, square);
  }
  return power;
}

/** The product of two polynomials, modulo CRC-32's. */
function product(a: number, b: number): number {
  let sum = 0;
  let shifted = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) sum ^= shifted;
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ POLYNOMIAL;
  }
  return sum >>> 0;
}
