import { open, stat } from 'node:fs/promises';

// Blanks the GPU code in libraries that is for other GPUs than one, so that they compress to a fraction:
//   node --import tsx bench/gpu/keep-arch.ts 90 lib/*.so*
// The containers that NVIDIA's compilers embed begin with a magic number: 16 bytes of header (magic u32, version u16, header bytes u16,
// body bytes u64), then entries: kind u16, version u16, header bytes u32, body bytes u64, …, at byte 28 the architecture u32.

const MAGIC = Buffer.from('50ed55ba', 'hex');
const CHUNK = 64 * 1024 * 1024;
const ENTRY_HEADER = 64;

const [arch = '', ...paths] = process.argv.slice(2);
for (const path of paths) {
  const { size } = await stat(path);
  await using file = await open(path, 'r+');
  let blanked = 0;
  for (const at of await containers(path)) blanked += await blankOthers(at);
  console.log(
    `${path}: ${Math.round(size / 1e6)} MB, of which ${Math.round(blanked / 1e6)} MB were for other GPUs`,
  );

  async function read(position: number, bytes: number): Promise<Buffer> {
    const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, position);
    return buffer;
  }

  async function blankOthers(at: number): Promise<number> {
    const header = await read(at, 16);
    const headerBytes = header.readUInt16LE(6);
    const end = at + headerBytes + Number(header.readBigUInt64LE(8));
    if (headerBytes !== 16 || end > size) return 0;
    let blank = 0;
    for (let entry = at + headerBytes; entry + ENTRY_HEADER <= end; ) {
      const about = await read(entry, ENTRY_HEADER);
      const bodyAt = entry + about.readUInt32LE(4);
      const bodyBytes = Number(about.readBigUInt64LE(8));
      if (bodyAt <= entry || bodyAt + bodyBytes > end) break;
      if (about.readUInt32LE(28) !== Number(arch)) {
        await file.write(Buffer.alloc(bodyBytes), 0, bodyBytes, bodyAt);
        blank += bodyBytes;
      }
      entry = bodyAt + bodyBytes;
    }
    return blank;
  }
}

/** Where containers begin. */
async function containers(path: string): Promise<number[]> {
  await using file = await open(path);
  const found: number[] = [];
  const { size } = await file.stat();
  const buffer = Buffer.alloc(CHUNK + MAGIC.length);
  for (let from = 0; from < size; from += CHUNK) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    const chunk = buffer.subarray(0, bytesRead);
    for (let i = chunk.indexOf(MAGIC); i >= 0 && i < CHUNK; i = chunk.indexOf(MAGIC, i + 1))
      found.push(from + i);
  }
  return found;
}
