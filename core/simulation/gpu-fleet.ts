import type { EventQueue } from './event-queue.ts';
import { Level } from './level.ts';
import type { Measurements } from './measurements.ts';
import type { Random } from './random.ts';
import type { Scenario } from './scenario.ts';
import type { ServiceTimes } from './service-times.ts';
import type { UsageMeter } from './usage-meter.ts';
import type { WorkQueue } from './work-queue.ts';

/** What a start may take more or less, as a share. */
const START_DEVIATION = 0.15;

export interface GpuFleetParts {
  readonly events: EventQueue;
  readonly random: Random;
  readonly scenario: Scenario;
  readonly measurements: Measurements;
  readonly times: ServiceTimes;
  /** Seconds of work that a worker takes at a time. */
  readonly lotS: number;
  readonly packs: WorkQueue;
  readonly usage: UsageMeter;
  /** Parts were written. */
  onParts(): void;
}

interface Worker {
  state: 'starting' | 'idle' | 'busy' | 'gone';
  /** Takes no more packs: it was let go, or has its notice. */
  isLeaving: boolean;
  readonly launchedS: number;
  /** What it has in hand, and since when. */
  lot: { images: number; beganS: number; seconds: number };
  /** When the machine ends after a notice, idle or not; it is paid for until then. */
  endsS: number | undefined;
}

/** The GPU workers: packs in, parts out. */
export class GpuFleet {
  readonly #parts: GpuFleetParts;
  readonly #workers = new Set<Worker>();
  readonly #idle: Worker[] = [];
  #wanted = 0;
  /** Machines that are paid for; those that have loaded the model; those at work. */
  readonly paid = new Level();
  readonly ready = new Level();
  readonly busy = new Level();
  /** Images with a part so far. */
  inferred = 0;
  launches = 0;
  interruptions = 0;
  /** Images that were in hand of a worker that died, and were received again. */
  repeated = 0;

  constructor(parts: GpuFleetParts) {
    this.#parts = parts;
  }

  /** How many workers there shall be. */
  get wanted(): number {
    return this.#wanted;
  }

  /** Machines that start, or that work and are to stay. */
  get #staying(): number {
    let count = 0;
    for (const worker of this.#workers) if (!worker.isLeaving) count++;
    return count;
  }

  /** Machines that were launched so long ago, and are to stay. */
  olderThan(seconds: number): number {
    const launchedBeforeS = this.#parts.events.nowS - seconds;
    let count = 0;
    for (const { isLeaving, launchedS } of this.#workers)
      if (!isLeaving && launchedS <= launchedBeforeS) count++;
    return count;
  }

  /**
   * Images that are done within the lots that are worked on: a lot is many packs that are done one after the other, and
   * the queue has lost the first of them long before the last.
   */
  get doneInHand(): number {
    let done = 0;
    for (const worker of this.#workers) if (worker.state === 'busy') done += this.#doneOf(worker.lot);
    return done;
  }

  #doneOf({ images, beganS, seconds }: Worker['lot']): number {
    const { events, scenario } = this.#parts;
    const share = Math.min(1, (events.nowS - beganS) / seconds);
    return Math.floor((share * images) / scenario.packSize) * scenario.packSize;
  }

  scaleTo(wanted: number): void {
    this.#wanted = wanted;
    for (let missing = wanted - this.#staying; missing > 0; missing--) this.#launch();
    const tooMany = this.#staying - wanted;
    if (tooMany <= 0) return;
    const order = { starting: 0, idle: 1, busy: 2, gone: 3 };
    const leaving = [...this.#workers]
      .filter(({ isLeaving }) => !isLeaving)
      .sort((a, b) => order[a.state] - order[b.state])
      .slice(0, tooMany);
    for (const worker of leaving) this.#letGo(worker);
  }

  /** Gives waiting packs to idle workers. */
  wake(): void {
    const { packs, scenario, lotS, times } = this.#parts;
    const lot = Math.max(1, Math.round(lotS / times.workerImageS / scenario.packSize)) * scenario.packSize;
    while (this.#idle.length > 0 && packs.waiting > 0) {
      const worker = this.#idle.at(-1) as Worker;
      if (worker.isLeaving || worker.state !== 'idle') {
        this.#idle.pop();
        continue;
      }
      // What would be enough for all idle workers is not taken by one of them.
      const share = Math.ceil(packs.waiting / this.#idle.length / scenario.packSize) * scenario.packSize;
      const images = packs.receive(Math.min(lot, Math.max(share, scenario.worker.batchSize)));
      if (images === 0) return;
      this.#idle.pop();
      this.#work(worker, images);
    }
  }

  #launch(): void {
    const { events, random, measurements, scenario } = this.#parts;
    const worker: Worker = {
      state: 'starting',
      isLeaving: false,
      launchedS: events.nowS,
      lot: { images: 0, beganS: 0, seconds: 0 },
      endsS: undefined,
    };
    this.#workers.add(worker);
    this.launches++;
    this.paid.add(1, events.nowS);
    const startS = measurements.bootS.value * random.factor(START_DEVIATION) + measurements.engineLoadS.value;
    events.in(startS, () => {
      if (worker.state !== 'starting') return;
      this.ready.add(1, events.nowS);
      this.#rest(worker);
    });
    const untilS = random.exponential(scenario.spot.interruptionsPerHour / 3600);
    if (Number.isFinite(untilS)) events.in(untilS, () => this.#interrupt(worker));
  }

  #work(worker: Worker, images: number): void {
    const { events, random, times, measurements, scenario } = this.#parts;
    const packs = Math.ceil(images / scenario.packSize);
    const seconds =
      images * times.workerImageS * random.factor(measurements.packDeviation.value / Math.sqrt(packs));
    worker.state = 'busy';
    worker.lot = { images, beganS: events.nowS, seconds };
    this.busy.add(1, events.nowS);
    events.in(seconds, () => {
      // It died meanwhile, and its packs went back.
      if (worker.state === 'gone') return;
      this.busy.add(-1, events.nowS);
      this.#done(images);
      this.#rest(worker);
    });
  }

  /** A worker without work: it waits for some, or it goes. */
  #rest(worker: Worker): void {
    worker.state = 'idle';
    if (worker.isLeaving) {
      this.#end(worker);
      return;
    }
    this.#idle.push(worker);
    this.wake();
  }

  #done(images: number): void {
    const { packs, usage, scenario } = this.#parts;
    packs.acknowledge(images);
    this.inferred += images;
    usage.inferred(Math.ceil(images / scenario.packSize), Math.max(1, scenario.worker.prefetchPacks));
    this.#parts.onParts();
  }

  #letGo(worker: Worker): void {
    worker.isLeaving = true;
    // What it has in hand it finishes.
    if (worker.state !== 'busy') this.#end(worker);
  }

  /** EC2 takes a machine back, with notice or without. */
  #interrupt(worker: Worker): void {
    const { events, random, scenario } = this.#parts;
    if (worker.state === 'gone' || worker.endsS !== undefined) return;
    this.interruptions++;
    if (random.uniform() < scenario.spot.unannounced) this.#die(worker);
    else {
      worker.endsS = events.nowS + scenario.spot.noticeS;
      this.#letGo(worker);
      // Whatever is still in hand when the notice runs out is lost.
      events.in(scenario.spot.noticeS, () => this.#die(worker));
    }
    this.scaleTo(this.#wanted);
  }

  /** The end of a machine in the middle of its work: what has its part is done, what was in hand is repeated. */
  #die(worker: Worker): void {
    const { events, packs, scenario } = this.#parts;
    if (worker.state === 'gone') return;
    if (worker.state === 'busy') {
      const { packSize, worker: options } = scenario;
      const { images } = worker.lot;
      this.busy.add(-1, events.nowS);
      const done = this.#doneOf(worker.lot);
      const inHand = Math.min(
        images - done,
        options.sessions * options.batchSize + options.prefetchPacks * packSize,
      );
      if (done > 0) this.#done(done);
      // A lot is more than a worker really receives at a time: the rest of it has never left the queue.
      packs.giveBack(images - done - inHand);
      this.repeated += inHand;
      events.in(options.visibilityS, () => {
        packs.giveBack(inHand);
        this.wake();
      });
    }
    worker.endsS = undefined;
    this.#end(worker);
    this.wake();
  }

  #end(worker: Worker): void {
    const { events } = this.#parts;
    if (worker.state === 'gone') return;
    if (worker.state !== 'starting') this.ready.add(-1, events.nowS);
    worker.state = 'gone';
    this.#workers.delete(worker);
    // After its notice a machine is paid for until it is taken.
    const paidS = Math.max(0, (worker.endsS ?? events.nowS) - events.nowS);
    events.in(paidS, () => this.paid.add(-1, events.nowS));
  }
}
