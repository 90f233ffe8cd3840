import { completionKey, openKey } from '#core/job-layout.ts';
import { PackMessage, parseMessage } from '#core/messages.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { deadLetters, type LetterQueue } from './dead-letters.ts';

/** Why letters of one queue died, and how many. */
export interface DeathCause {
  readonly queue: LetterQueue;
  readonly reason: string;
  readonly letters: number;
}

/** Why the letters of a job died, the most frequent cause first. */
export async function deathCauses(job: string, works: ObjectStore): Promise<DeathCause[]> {
  const causes = new DeathCauses();
  for await (const { letter } of deadLetters(job, works)) causes.add(letter);
  return causes.sorted;
}

/**
 * Sends a job's dead letters again, and opens the job anew, so that it is completed with what comes of them.
 *
 * @returns why they had died.
 */
export async function redriveJob(
  job: string,
  ports: { works: ObjectStore; queue(name: LetterQueue): Promise<MessageQueue> },
): Promise<DeathCause[]> {
  const causes = new DeathCauses();
  for await (const { key, letter } of deadLetters(job, ports.works)) {
    await (await ports.queue(letter.queue)).send([redrivenBody(letter.body)], { group: job });
    await ports.works.delete([key]);
    causes.add(letter);
  }
  // Last of all: until the first letter is sent, a job that is open would be completed once more as it was.
  if (causes.sorted.length > 0) {
    await ports.works.delete([completionKey(job)]);
    await ports.works.put(openKey(job), Buffer.from(''));
  }
  return causes.sorted;
}

/** A pack's message says that it comes again: its part may be written, and what was to be done about it not. */
function redrivenBody(body: string): string {
  try {
    return JSON.stringify({ ...parseMessage(PackMessage, body), redriven: true });
  } catch {
    return body;
  }
}

class DeathCauses {
  readonly #causes = new Map<string, DeathCause>();

  add({ queue, reason }: { queue: LetterQueue; reason: string }): void {
    const id = `${queue} ${reason}`;
    this.#causes.set(id, { queue, reason, letters: (this.#causes.get(id)?.letters ?? 0) + 1 });
  }

  get sorted(): DeathCause[] {
    return [...this.#causes.values()].sort((a, b) => b.letters - a.letters);
  }
}
