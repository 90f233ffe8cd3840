import { ByteReader } from './byte-reader.ts';
import { corrupt, type HeaderResult, headerOf, truncated } from './image-header.ts';

const SIGNATURE_BYTES = 8;
const CHUNK_OVERHEAD_BYTES = 12;
const MAX_SIDE_PX = 0x7fffffff;
/** Text and suggested palettes: nothing that a picture is made of, and libvips inflates every one into memory. */
const NEEDLESS_CHUNKS = new Set(['tEXt', 'zTXt', 'iTXt', 'sPLT']);

interface Chunk {
  readonly type: string;
  readonly from: number;
  readonly to: number;
}

/** Reads a PNG's size, interlacing and frames by walking its chunks (W3C PNG specification, third edition). */
export function inspectPng(bytes: Uint8Array): HeaderResult {
  const reader = new ByteReader(bytes);
  if (reader.text(12, 4) !== 'IHDR') {
    return bytes.length < 16 ? truncated('the PNG ends before its header') : corrupt('the PNG has no header');
  }
  const widthPx = reader.u32(16);
  const heightPx = reader.u32(20);
  const interlace = reader.u8(28);
  if (widthPx === undefined || heightPx === undefined || interlace === undefined) {
    return truncated('the PNG ends inside its header');
  }
  if (widthPx > MAX_SIDE_PX || heightPx > MAX_SIDE_PX)
    return corrupt('the PNG header has an impossible size');
  let frames = 1;
  let isComplete = false;
  for (const chunk of chunksOf(reader)) {
    if (chunk.to > bytes.length) break;
    if (chunk.type === 'acTL') frames = Math.max(frames, reader.u32(chunk.from + 8) ?? 1);
    if (chunk.type === 'IEND') isComplete = true;
  }
  const header = headerOf({ widthPx, heightPx, frames, isBuffered: interlace !== 0 }, 'PNG');
  if (!header.ok || isComplete) return header;
  return hasSoundTypes(reader)
    ? truncated('the PNG ends before its last chunk')
    : corrupt('the PNG has a damaged chunk');
}

/** The same PNG without the chunks that only cost memory; the bytes themselves where it has none of them. */
export function withoutNeedlessChunks(bytes: Buffer): Buffer {
  const kept: Buffer[] = [bytes.subarray(0, SIGNATURE_BYTES)];
  let from = SIGNATURE_BYTES;
  for (const chunk of chunksOf(new ByteReader(bytes))) {
    if (!NEEDLESS_CHUNKS.has(chunk.type)) continue;
    kept.push(bytes.subarray(from, chunk.from));
    from = chunk.to;
  }
  if (from === SIGNATURE_BYTES) return bytes;
  kept.push(bytes.subarray(from));
  return Buffer.concat(kept);
}

function* chunksOf(reader: ByteReader): Generator<Chunk> {
  for (let from = SIGNATURE_BYTES; ; ) {
    const length = reader.u32(from);
    if (length === undefined || from + 8 > reader.length) return;
    const to = from + CHUNK_OVERHEAD_BYTES + length;
    const type = reader.text(from + 4, 4);
    yield { type, from, to };
    if (type === 'IEND') return;
    from = to;
  }
}

/** A chunk type is four letters; anything else means that the walk went astray, not that the file is short. */
function hasSoundTypes(reader: ByteReader): boolean {
  for (const { type } of chunksOf(reader)) if (!/^[A-Za-z]{4}$/.test(type)) return false;
  return true;
}
