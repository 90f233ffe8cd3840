import type { Picture } from './picture.ts';

const HEADER_BYTES = 54;

/** A 24-bit BMP file: no encoder in this project writes one, and old catalogues are full of them. */
export function encodeBmp({ widthPx, heightPx, pixels }: Picture): Buffer {
  // Rows are padded to four bytes and stored from the bottom up, in blue-green-red order.
  const rowBytes = Math.ceil((widthPx * 3) / 4) * 4;
  const file = Buffer.alloc(HEADER_BYTES + rowBytes * heightPx);
  file.write('BM', 0, 'latin1');
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(HEADER_BYTES, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(widthPx, 18);
  file.writeInt32LE(heightPx, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(24, 28);
  file.writeUInt32LE(rowBytes * heightPx, 34);
  for (let y = 0; y < heightPx; y += 1) {
    let from = y * widthPx * 3;
    let to = HEADER_BYTES + (heightPx - 1 - y) * rowBytes;
    for (let x = 0; x < widthPx; x += 1) {
      file[to] = pixels[from + 2]!;
      file[to + 1] = pixels[from + 1]!;
      file[to + 2] = pixels[from]!;
      from += 3;
      to += 3;
    }
  }
  return file;
}
