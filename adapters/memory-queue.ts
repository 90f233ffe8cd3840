import { Condition } from '#core/condition.ts';
import type { Lease, MessageQueue, SendOptions } from '#core/ports/message-queue.ts';

/** How one in-process queue behaves; the names are SQS's. */
export interface MemoryQueueOptions {
  /** How long a received message stays invisible. */
  readonly visibilityMs: number;
  /** After so many deliveries without an ack the message goes to the dead letters. */
  readonly maxDeliveries: number;
  /** Milliseconds on some monotonic clock. */
  readonly now?: () => number;
  /** Called whenever a message has come, been received, or gone. */
  onChange?(): void;
}

interface Message {
  readonly body: string;
  readonly sentAt: Date;
  deliveries: number;
  visibleAtMs: number;
  /** The delivery that may ack it; a late ack of an earlier delivery is ignored, as SQS may do. */
  receipt: number;
  /** Why it was given back last. */
  reason?: string;
}

/** A message that no further delivery can help, and why, where that was said. */
export interface DeadLetter {
  readonly body: string;
  readonly reason: string | undefined;
}

/**
 * A message queue in this process, with SQS's semantics: at-least-once, leases that run out, a dead-letter
 * list. It holds messages in memory: what was in it when the process died is sent again on resume.
 */
export class MemoryQueue implements MessageQueue {
  readonly #options: MemoryQueueOptions;
  readonly #messages = new Set<Message>();
  readonly #deadLetters: DeadLetter[] = [];
  readonly #now: () => number;
  #receipts = 0;
  /** Somebody may receive something. */
  readonly #receivable = new Condition();

  constructor(options: MemoryQueueOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Messages that were delivered too often or buried, oldest first. */
  get deadLetters(): readonly DeadLetter[] {
    return this.#deadLetters;
  }

  get visibilityMs(): number {
    return this.#options.visibilityMs;
  }

  async send(bodies: readonly string[], { delayMs = 0 }: SendOptions = {}): Promise<void> {
    const visibleAtMs = delayMs > 0 ? this.#now() + delayMs : 0;
    for (const body of bodies)
      this.#messages.add({ body, sentAt: new Date(), deliveries: 0, visibleAtMs, receipt: 0 });
    this.#notify();
  }

  async receive(options: { maxMessages: number; waitMs: number; signal?: AbortSignal }): Promise<Lease[]> {
    const deadline = this.#now() + options.waitMs;
    for (;;) {
      if (options.signal?.aborted) return [];
      const leases = this.#take(options.maxMessages);
      if (leases.length > 0) return leases;
      const waitMs = Math.min(deadline, this.#nextVisibleMs()) - this.#now();
      if (deadline <= this.#now()) return [];
      await this.#receivable.wait({ withinMs: Math.max(1, waitMs), signal: options.signal });
    }
  }

  async depth(): Promise<{ waiting: number; leased: number }> {
    const now = this.#now();
    let leased = 0;
    for (const message of this.#messages) if (message.visibleAtMs > now) leased++;
    return { waiting: this.#messages.size - leased, leased };
  }

  #take(maxMessages: number): Lease[] {
    const now = this.#now();
    const leases: Lease[] = [];
    for (const message of this.#messages) {
      if (leases.length === maxMessages) break;
      if (message.visibleAtMs > now) continue;
      if (message.deliveries >= this.#options.maxDeliveries) {
        this.#bury(message);
        continue;
      }
      message.deliveries++;
      message.visibleAtMs = now + this.#options.visibilityMs;
      leases.push(this.#leaseOf(message));
    }
    if (leases.length > 0) this.#options.onChange?.();
    return leases;
  }

  #leaseOf(message: Message): Lease {
    const receipt = ++this.#receipts;
    message.receipt = receipt;
    const hide = (ms: number): void => {
      if (message.receipt !== receipt) return;
      message.visibleAtMs = ms <= 0 ? 0 : this.#now() + ms;
      this.#notify();
    };
    return {
      body: message.body,
      sentAt: message.sentAt,
      deliveryCount: message.deliveries,
      ack: async () => {
        if (message.receipt === receipt) this.#remove(message);
      },
      extend: async (visibilityMs) => hide(visibilityMs),
      retry: async ({ delayMs = 0, reason } = {}) => {
        if (reason !== undefined) message.reason = reason;
        hide(delayMs);
      },
      bury: async (reason) => {
        if (message.receipt !== receipt) return;
        message.reason = reason;
        this.#bury(message);
      },
    };
  }

  #bury(message: Message): void {
    this.#deadLetters.push({ body: message.body, reason: message.reason });
    this.#remove(message);
  }

  #remove(message: Message): void {
    this.#messages.delete(message);
    this.#options.onChange?.();
  }

  #nextVisibleMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const message of this.#messages) next = Math.min(next, message.visibleAtMs);
    return next;
  }

  #notify(): void {
    this.#receivable.notifyAll();
    this.#options.onChange?.();
  }
}
