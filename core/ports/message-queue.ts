/**
 * One delivery of one message. It is invisible to other receivers until its visibility time-out runs out;
 * then it is delivered again, unless it was acknowledged. After too many deliveries it goes to the dead letters.
 */
export interface Lease {
  /** The message, as text (JSON). */
  readonly body: string;
  /** 1 on the first delivery. */
  readonly deliveryCount: number;
  /** When it was sent. */
  readonly sentAt: Date;
  /** Why the message is among the dead letters; only in a queue of dead letters, and not for all. */
  readonly reason?: string;
  /** The work is stored: never deliver this message again. */
  ack(): Promise<void>;
  /** Still working: stay invisible for this long from now. */
  extend(visibilityMs: number): Promise<void>;
  /** Give the message back, to be delivered again. A reason goes with it into the dead letters, if this was its last delivery. */
  retry(options?: { delayMs?: number; reason?: string }): Promise<void>;
  /** Put the message among the dead letters at once: no further delivery can help it. */
  bury(reason: string): Promise<void>;
}

export interface SendOptions {
  /** Deliver no sooner than this. */
  readonly delayMs?: number;
  /** Messages of one group may not starve those of others (SQS's fair queues). */
  readonly group?: string;
  readonly signal?: AbortSignal;
}

/** At-least-once, unordered delivery of small text messages: SQS, or a queue in this process. */
export interface MessageQueue {
  /** How long a received message stays invisible. */
  readonly visibilityMs: number;
  /** The one request that a `send` of one message comes to, as meters name it; left out where nothing is metered. */
  readonly sendRequest?: string;
  send(bodies: readonly string[], options?: SendOptions): Promise<void>;
  /** Waits up to `waitMs` for the first message, then returns up to `maxMessages` of what is there. */
  receive(options: { maxMessages: number; waitMs: number; signal?: AbortSignal }): Promise<Lease[]>;
  /** About how many messages are waiting and how many are leased. */
  depth(options?: { signal?: AbortSignal }): Promise<{ waiting: number; leased: number }>;
}
