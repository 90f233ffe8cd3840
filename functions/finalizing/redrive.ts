import { completionKey, openKey } from '#core/job-layout.ts';
import type { MessageQueue } from '#core/ports/message-queue.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { deadLetters, type LetterQueue } from './dead-letters.ts';

/** Why letters of one queue died, and how many. */
export interface DeathCause {
  readonly queue: LetterQueue;
  readonly reason: string;
  readonly letters: number;
}

/** Sends a job's dead letters again, and opens the job anew, so that it is completed with what comes of them. */
export async function redriveJob(
  job: string,
  ports: { works: ObjectStore; queue(name: LetterQueue): Promise<MessageQueue> },
): Promise<DeathCause[]> {
  const causes = new Map<string, DeathCause>();
  let sent = false;
  for await (const { key, letter } of deadLetters(job, ports.works)) {
    sent = true;
    await (await ports.queue(letter.queue)).send([letter.body], { group: job });
    await ports.works.delete([key]);
    const id = `${letter.queue} ${letter.reason}`;
    const { queue, reason } = letter;
    causes.set(id, { queue, reason, letters: (causes.get(id)?.letters ?? 0) + 1 });
  }
  // Last of all: until the first letter is sent, a job that is open would be completed once more as it was.
  if (sent) {
    await ports.works.delete([completionKey(job)]);
    await ports.works.put(openKey(job), Buffer.from(''));
  }
  return [...causes.values()].sort((a, b) => b.letters - a.letters);
}
