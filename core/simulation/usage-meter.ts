import type { Usage } from '#core/cost/bill.ts';

/** What is written to logs. */
const INVOCATION_LOG_BYTES = 900;
const WORKER_LOG_BYTES_PER_SECOND = 700;
/** Beside its shards, a job has a plan and its marks; to complete it writes tables, report, summary and proof. */
const PUTS_OF_PLANNING = 3;
const GETS_OF_PLANNING = 4;
const PUTS_OF_COMPLETION = 10;
/** Request, plan, proof and marks of a job, each time that it is looked whether it is over; its dead letters are listed too. */
const GETS_OF_LOOK = 5;
const LISTS_OF_LOOK = 1;
/** Messages of shards are sent ten at a time. */
const SHARDS_PER_REQUEST = 10;
const KEYS_PER_LIST = 1000;

type Counters = { -readonly [K in keyof Usage]: number };

/** Counts what a pipeline uses, request by request, as its code does it. */
export class UsageMeter {
  readonly #used: Counters = {
    lambdaSeconds: 0,
    lambdaGbSeconds: 0,
    lambdaInvocations: 0,
    sqsRequests: 0,
    s3Puts: 0,
    s3Gets: 0,
    s3Lists: 0,
    s3ByteSeconds: 0,
    workerSeconds: 0,
    logBytes: 0,
    seconds: 0,
  };

  /** Planned: listed, written as shards, sent. */
  planned(images: number, shards: number): void {
    this.#used.s3Lists += Math.ceil(images / KEYS_PER_LIST);
    this.#used.s3Puts += shards + PUTS_OF_PLANNING;
    this.#used.s3Gets += GETS_OF_PLANNING;
    this.#used.sqsRequests += Math.ceil(shards / SHARDS_PER_REQUEST);
  }

  /** Invocations that took so long each. The event source receives their messages and deletes them. */
  invocations(count: number, seconds: number, memoryMib: number): void {
    this.#used.lambdaInvocations += count;
    this.#used.lambdaSeconds += count * seconds;
    this.#used.lambdaGbSeconds += (count * seconds * memoryMib) / 1024;
    this.#used.sqsRequests += 2 * count;
    this.#used.s3Gets += count;
    this.#used.logBytes += count * INVOCATION_LOG_BYTES;
  }

  /** Shards sent again. */
  handedBack(count: number): void {
    this.#used.sqsRequests += count;
  }

  /** Images read, and packs of them looked for, written and announced. */
  preprocessed(images: number, packs: number): void {
    this.#used.s3Gets += images + 2 * packs;
    this.#used.s3Puts += packs;
    this.#used.sqsRequests += 2 * packs;
  }

  /**
   * Packs read, their parts written, their messages received and deleted.
   *
   * @param together messages that a worker has room for: what waits comes in as few answers.
   */
  inferred(packs: number, together: number): void {
    this.#used.s3Gets += packs;
    this.#used.s3Puts += packs;
    this.#used.sqsRequests += 2 * Math.ceil(packs / together);
  }

  /** Each part is read twice, after so many looks whether all of them are there, which list those that are. */
  finalized(packs: number, looks: number): void {
    this.#used.s3Gets += 2 * packs + looks * GETS_OF_LOOK;
    this.#used.s3Puts += PUTS_OF_COMPLETION;
    // They come one after the other: half of them are there on average.
    this.#used.s3Lists += looks * (LISTS_OF_LOOK + Math.ceil(packs / 2 / KEYS_PER_LIST));
  }

  /** All of it so far. Areas are integrals over time, from 0 on. */
  at(nowS: number, areas: { workerSeconds: number; packByteSeconds: number }): Usage {
    return {
      ...this.#used,
      workerSeconds: areas.workerSeconds,
      s3ByteSeconds: areas.packByteSeconds,
      logBytes: this.#used.logBytes + areas.workerSeconds * WORKER_LOG_BYTES_PER_SECOND,
      seconds: nowS,
    };
  }
}
