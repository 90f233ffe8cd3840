/**
 * One delivery of one message. It is invisible to other receivers until its visibility time-out runs out;
 * then it is delivered again, unless it was acknowledged. After too many deliveries it goes to the dead letters.
 */
export interface Lease {
  /** The message, as text (JSON). */
  readonly body: string;
  /** 1 on the first delivery. */
  readonly deliveryCount: number;
  /** The work is stored: never deliver this message again. */
  ack(): Promise<void>;
  /** Still working: stay invisible for this long from now. */
  extend(visibilityMs: number): Promise<void>;
  /** Give the message back, to be delivered again after the delay. */
  retry(delayMs?: number): Promise<void>;
}

/** At-least-once, unordered delivery of small text messages: SQS, or a queue in this process. */
export interface MessageQueue {
  send(bodies: readonly string[], options?: { signal?: AbortSignal }): Promise<void>;
  /** Waits up to `waitMs` for the first message, then returns up to `maxMessages` of what is there. */
  receive(options: { maxMessages: number; waitMs: number; signal?: AbortSignal }): Promise<Lease[]>;
  /** About how many messages are waiting and how many are leased. */
  depth(options?: { signal?: AbortSignal }): Promise<{ waiting: number; leased: number }>;
}
