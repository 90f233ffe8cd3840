import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { ObjectWriter } from '#core/ports/object-store.ts';

/** S3 wants 5 MiB at least in every part of an upload but the last. */
const PART_BYTES = 8 * 1024 * 1024;

interface UploadTarget {
  readonly client: S3Client;
  readonly target: { readonly Bucket: string; readonly Key: string; readonly ContentType: string };
  /** Runs one request within its time, and turns its errors into the store's. */
  call<T>(send: (abortSignal: AbortSignal) => Promise<T>): Promise<T>;
  /** For an object that is not worth an upload in parts. */
  putWhole(pieces: readonly Uint8Array[]): Promise<void>;
}

/** An object that is written piece by piece; what fits into one part is put at once. */
export class S3Upload implements ObjectWriter {
  readonly #to: UploadTarget;
  readonly #parts: { PartNumber: number; ETag: string | undefined }[] = [];
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #uploadId: string | undefined;

  constructor(to: UploadTarget) {
    this.#to = to;
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      const piece = Buffer.from(chunk.subarray(from, from + PART_BYTES - this.#pendingBytes));
      this.#pending.push(piece);
      this.#pendingBytes += piece.length;
      from += piece.length;
      if (this.#pendingBytes >= PART_BYTES) await this.#uploadPending();
    }
  }

  async commit(): Promise<void> {
    if (this.#uploadId === undefined) return this.#to.putWhole(this.#pending);
    if (this.#pendingBytes > 0) await this.#uploadPending();
    const upload = { ...this.#upload(), MultipartUpload: { Parts: this.#parts } };
    await this.#to.call((abortSignal) =>
      this.#to.client.send(new CompleteMultipartUploadCommand(upload), { abortSignal }),
    );
  }

  async abort(): Promise<void> {
    this.#pending = [];
    if (this.#uploadId === undefined) return;
    const upload = this.#upload();
    await this.#to.call((abortSignal) =>
      this.#to.client.send(new AbortMultipartUploadCommand(upload), { abortSignal }),
    );
  }

  async #uploadPending(): Promise<void> {
    const { client, target, call } = this.#to;
    this.#uploadId ??= (
      await call((abortSignal) => client.send(new CreateMultipartUploadCommand(target), { abortSignal }))
    ).UploadId;
    const part = {
      ...this.#upload(),
      PartNumber: this.#parts.length + 1,
      Body: Buffer.concat(this.#pending),
    };
    this.#pending = [];
    this.#pendingBytes = 0;
    const { ETag } = await call((abortSignal) => client.send(new UploadPartCommand(part), { abortSignal }));
    this.#parts.push({ PartNumber: part.PartNumber, ETag });
  }

  #upload(): { Bucket: string; Key: string; UploadId: string | undefined } {
    const { Bucket, Key } = this.#to.target;
    return { Bucket, Key, UploadId: this.#uploadId };
  }
}
