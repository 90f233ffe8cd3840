import { describe, expect, it } from 'vitest';
import { encodeNpy, parseNpy } from '#core/npy.ts';

function npy(descr: string, shape: string, data: Buffer, order = 'False'): Buffer {
  const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }\n`;
  const head = Buffer.from(`\x93NUMPY\x01\x00\x00\x00`, 'latin1');
  head.writeUInt16LE(header.length, 8);
  return Buffer.concat([head, Buffer.from(header), data]);
}

describe('.npy files', () => {
  it('are read back as they were written', () => {
    const bytes = encodeNpy([2, 3], Uint8Array.from([1, 2, 3, 4, 5, 255]));
    expect((bytes.length - 6) % 64).toBe(0);
    const { dtype, shape, data } = parseNpy(bytes, 'a.npy');
    expect([dtype, shape, [...data]]).toEqual(['uint8', [2, 3], [1, 2, 3, 4, 5, 255]]);
  });

  it.each([
    ['<f4', Buffer.from(Float32Array.from([1.5, -2]).buffer)],
    ['<f8', Buffer.from(Float64Array.from([1.5, -2]).buffer)],
    // 1.5 is 0x3e00 and −2 is 0xc000.
    ['<f2', Buffer.from(Uint16Array.from([0x3e00, 0xc000]).buffer)],
  ])('give float32 from %s', (descr, data) => {
    expect([...parseNpy(npy(descr, '2,', data), 'a.npy').data]).toEqual([1.5, -2]);
  });

  it('know the odd half floats: subnormal, infinite, not a number', () => {
    const bits = Buffer.from(Uint16Array.from([0x0001, 0xfc00, 0x7e00]).buffer);
    expect([...parseNpy(npy('<f2', '3,', bits), 'a.npy').data]).toEqual([2 ** -24, -Infinity, Number.NaN]);
  });

  it.each([
    ['another kind of file', Buffer.from('PK not an array, but long enough'), /no \.npy file/],
    ['column order', npy('<f4', '2,', Buffer.alloc(8), 'True'), /column by column/],
    ['strings', npy('<U3', '2,', Buffer.alloc(24)), /holds "<U3"/],
    ['too few values', npy('<f4', '2, 2', Buffer.alloc(8)), /cut off/],
  ])('are refused with a reason: %s', (_, bytes, reason) => {
    expect(() => parseNpy(bytes, 'a.npy')).toThrow(reason);
  });
});
