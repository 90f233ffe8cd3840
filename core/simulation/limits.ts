import { S3_GETS_PER_PARTITION } from './functions.ts';
import { LONGEST_INVOCATION_S } from './job-stage.ts';
import type { Measurements } from './measurements.ts';
import type { Outcome } from './simulate.ts';

/** A limit of AWS or of the pipeline's own settings, and how near the fleet came to it. */
export interface Limit {
  readonly name: string;
  readonly peak: number;
  readonly allowed: number;
  readonly unit: string;
  /** It held the fleet back, or it would have been passed. */
  readonly binds: boolean;
  /** What keeps below it, or what to do. */
  readonly remark: string;
}

/** Lambda's quota of a new account, for all functions of a region together: "Lambda quotas". */
const ACCOUNT_CONCURRENCY = 1000;
/** PUTs a second to one partition of a bucket: "Best practices design patterns" in the S3 guide. */
const S3_PUTS_PER_PARTITION = 3500;
/** A limit is reached from this share of it on. */
const REACHED = 0.99;

/** Workers at work for this share of their time have none to spare. */
const WORKED_OUT = 0.95;

/** What each pipeline of an outcome ran into, and all of them together, and what they stayed below. */
export function limitsOf(outcome: Outcome, measurements: Measurements): Limit[] {
  const { scenario, samples, times } = outcome;
  const { functions, packSize, pipelines } = scenario;
  const peakOf = (pick: (sample: Outcome['samples'][number]) => number): number =>
    samples.reduce((peak, sample) => Math.max(peak, pick(sample)), 0);
  const preprocessedPerSecond = peakOf((sample) => sample.preprocessedPerSecond);
  const packsPerSecond = preprocessedPerSecond / packSize;
  const partsPerSecond = peakOf((sample) => sample.inferredPerSecond) / packSize;
  const jobImages = Math.min(scenario.imagesPerJob, Math.ceil(scenario.images / pipelines));
  const finalizeS = jobImages / measurements.finalizedPerSecond.value;
  const shardS = Math.min(scenario.shardSize, jobImages) * times.invocationImageS;
  const finalizeShare = outcome.jobs / outcome.seconds;
  return [
    reached('Lambda: invocations at a time, as set', outcome.peakInvocations, functions.concurrency, '', {
      below: 'there were no more shards to work on',
      at: '--concurrency allows more',
    }),
    passed('Lambda: quota of a new account', outcome.peakInvocations * pipelines, ACCOUNT_CONCURRENCY, '', {
      below: 'preprocess.concurrency is the maximum concurrency of the event source',
      at: 'ask for a higher quota; one event source goes up to 1,000, so use more --pipelines',
    }),
    passed('Lambda: time of a shard', shardS, functions.timeoutS, 's', {
      below: 'ranges that are not begun in time are handed back, and never count as failed',
      at: 'shards are handed back: make them smaller',
    }),
    passed('Lambda: time to finalize a job', finalizeS, LONGEST_INVOCATION_S, 's', {
      below: 'a large source is audited by several jobs',
      at: 'such a job cannot be completed: lower --images-per-job',
    }),
    reached('finalize: share of the time, one job after the other', finalizeShare * finalizeS, 1, '', {
      below: 'jobs are completed while others are worked on',
      at: 'completing is the slowest stage: use more --pipelines',
      // From here on it takes longer than all before it.
      from: 0.8,
    }),
    {
      name: 'S3: reads of the source',
      peak: preprocessedPerSecond * pipelines,
      allowed: S3_GETS_PER_PARTITION * scenario.sourcePartitions,
      unit: '/s',
      // Samples are means over a while: they hardly show it.
      binds: outcome.throttledS > 0,
      remark:
        outcome.throttledS > 0
          ? 'S3 says "slow down"; under load it splits a bucket by prefixes within an hour (--source-partitions)'
          : `${scenario.sourcePartitions} partition(s) of 5,500/s`,
    },
    passed('S3: writes of packs', packsPerSecond, S3_PUTS_PER_PARTITION, '/s', {
      below: 'a pack of 64 images is one PUT; two digits before the job let S3 split the prefix 256 times',
      at: 'beyond one partition: S3 has to split packs/ first',
    }),
    passed('S3: writes of parts, under one prefix a job', partsPerSecond, S3_PUTS_PER_PARTITION, '/s', {
      below: 'a part is the rows of a pack: one PUT for 64 images',
      at: 'more images a pack, or several jobs at a time',
    }),
    reached('SQS: packs in flight', outcome.peakInFlightPacks, scenario.inFlightLimit, 'messages', {
      below: 'a worker receives only what it has room for',
      at: 'workers wait for messages: fewer packs at a time, or more pipelines',
    }),
    reached('SQS: shards in flight', outcome.peakInvocations, scenario.inFlightLimit, 'messages', {
      below: 'one message an invocation',
      at: 'fewer invocations',
    }),
    {
      name: 'backlog of packs, as set',
      peak: peakOf((sample) => sample.backlogPacks),
      allowed: scenario.maxBacklogPacks,
      unit: 'packs',
      binds: outcome.handedBack > 0,
      remark:
        outcome.handedBack > 0
          ? `shards were handed back ${outcome.handedBack.toLocaleString('en-US')} times, because workers lagged behind`
          : 'preprocessing never paused',
    },
    {
      ...reached('workers, as set', outcome.peakWorkers, scenario.scaling.maxWorkers, '', {
        below: 'the scaling rule asked for no more',
        at: 'they were always at work: --max-workers allows more, where the quota for G instances does',
      }),
      ...(outcome.busyS < WORKED_OUT * outcome.readyS && {
        binds: false,
        remark: 'they were idle part of the time',
      }),
    },
  ];
}

interface Remarks {
  readonly below: string;
  readonly at: string;
  readonly from?: number;
}

/** A limit that nothing can pass: whoever reaches it was held back. */
function reached(name: string, peak: number, allowed: number, unit: string, remarks: Remarks): Limit {
  const binds = peak >= allowed * (remarks.from ?? REACHED);
  return { name, peak, allowed, unit, binds, remark: binds ? remarks.at : remarks.below };
}

/** A limit that the simulation does not hold to. */
function passed(name: string, peak: number, allowed: number, unit: string, remarks: Remarks): Limit {
  const binds = peak > allowed;
  return { name, peak, allowed, unit, binds, remark: binds ? remarks.at : remarks.below };
}
