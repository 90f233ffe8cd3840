import { z } from 'zod';
import { Budget } from './budget.ts';
import { messageOf, SluiceError } from './error.ts';
import { ImageRef } from './image-ref.ts';
import { S3Source, SourceFilter } from './job-request.ts';
import { MeantFor } from './model-receipt.ts';
import { UsageRecord } from './usage.ts';

const Name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'expected a name without "/"');
const Index = z.int().min(0);

export const PlanMessage = z.discriminatedUnion('type', [
  /** "Plan this job, or go on planning it." */
  z.strictObject({ v: z.literal(1), type: z.literal('plan'), job: Name }),
  /** "Begin this job", from a schedule: the job is named after the time for which it was set. */
  z.strictObject({
    v: z.literal(1),
    type: z.literal('submit'),
    name: Name,
    source: S3Source,
    filter: SourceFilter.prefault({}),
    incremental: z.boolean().default(true),
    /** What the job may cost; left out, whatever it takes. */
    budget: Budget.optional(),
    at: z.iso.datetime(),
  }),
]);
export type PlanMessage = z.infer<typeof PlanMessage>;

/** How often in turn it came while no worker ran, and was sent again: each time it waits longer. */
const HandedBack = z.int().min(1).optional();

/** "Preprocess this shard", or only those ranges of it that were left undone, or whose packs were lost. */
export const ShardMessage = z.strictObject({
  v: z.literal(1),
  type: z.literal('shard'),
  job: Name,
  shard: Index,
  ranges: z.array(Index).min(1).optional(),
  /** Of the stages that see all images this one only, whose pack was lost. */
  stage: Name.optional(),
  /** How often the pack has been asked for again; it is given up in the end. */
  remakes: Index.default(0),
  handedBack: HandedBack,
});
export type ShardMessage = z.infer<typeof ShardMessage>;

/** "Preprocess what one part comes to for a following stage", or only those ranges of it. */
export const FollowUpMessage = z.strictObject({
  v: z.literal(1),
  type: z.literal('follow-up'),
  job: Name,
  stage: Name,
  /** The pack that the part came of. */
  parent: z.strictObject({ stage: Name, name: Name }),
  /** The shard that its images come from. */
  shard: Index,
  ranges: z.array(Index).min(1).optional(),
  remakes: Index.default(0),
  handedBack: HandedBack,
});
export type FollowUpMessage = z.infer<typeof FollowUpMessage>;

/** What the queue of shards carries. */
export const ShardsMessage = z.discriminatedUnion('type', [ShardMessage, FollowUpMessage]);
export type ShardsMessage = z.infer<typeof ShardsMessage>;

/** "Preprocess this image at once." What an S3 event comes to, and what asks for a lost pack of the live lane again. */
export const ImageMessage = z.strictObject({
  v: z.literal(1),
  type: z.literal('image'),
  bucket: z.string().min(1),
  ref: ImageRef,
  /** When the object appeared; the job of the live lane is that day's. */
  at: z.iso.datetime(),
  remakes: Index.default(0),
});
export type ImageMessage = z.infer<typeof ImageMessage>;

/** What a pack was made of: all that is needed to make it again. */
const PackOrigin = z.discriminatedUnion('lane', [
  z.strictObject({
    lane: z.literal('bulk'),
    bucket: z.string().nullable(),
    shard: Index,
    range: Index,
    remakes: Index,
    /** Of a following stage's pack: the range is one of this pack's follow-ups. */
    parent: z.strictObject({ stage: Name, name: Name }).optional(),
  }),
  z.strictObject({ lane: z.literal('live'), image: ImageMessage }),
]);

/** "Infer this pack." */
export const PackMessage = z.strictObject({
  v: z.literal(1),
  type: z.literal('pack'),
  job: Name,
  stage: Name,
  name: Name,
  /** The model of its stage, as the job was planned; left out by earlier versions. */
  meantFor: MeantFor.optional(),
  origin: PackOrigin,
  /** The pack itself, as base64, where it fits into a message; else its size in the work store (a claim check). */
  pack: z.union([
    z.strictObject({ inline: z.base64() }),
    z.strictObject({
      bytes: z.int().min(1),
      /** All stages that see this very pack, each by a message of its own; it is stored under the name of the first. Left out, this one. */
      stages: z.array(Name).min(2).optional(),
    }),
  ]),
  /** Of a dead letter that was sent again: what came before it may have stopped anywhere. */
  redriven: z.literal(true).optional(),
  /** What has been consumed on the way here and is not stored yet. */
  usage: z.array(UsageRecord).optional(),
});
export type PackMessage = z.infer<typeof PackMessage>;

/** "This image has this verdict." Sent for those that the pipeline's actions name; `id` is the same for the same verdict. */
export const VerdictMessage = z.strictObject({
  v: z.literal(1),
  type: z.literal('verdict'),
  id: z.string(),
  bucket: z.string(),
  key: z.string(),
  etag: z.string(),
  verdict: z.string(),
  checks: z.array(z.string()),
  scores: z.record(z.string(), z.number()),
  job: z.string(),
  model: z.string(),
});
export type VerdictMessage = z.infer<typeof VerdictMessage>;

/**
 * Parses a message against its schema.
 *
 * @throws SluiceError `message-malformed`, never retryable: the same text will not parse later.
 */
export function parseMessage<T>(schema: z.ZodType<T>, body: string): T {
  try {
    return schema.parse(JSON.parse(body));
  } catch (cause) {
    const shown = body.length > 120 ? `${body.slice(0, 120)}…` : body;
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new SluiceError('message-malformed', `not a message of this queue: ${shown} (${reason})`, {
      cause,
    });
  }
}
