import { formatCount, formatMeasure, formatSeconds } from '#report/format.ts';
import type { CapacityPlan } from './capacity-plan.ts';

/** A planned fleet for a person at a terminal. */
export function capacityTable(plan: CapacityPlan): string {
  const { functions, workers, backlog, cost, deadlineSeconds, inTime } = plan;
  const deadline =
    deadlineSeconds === undefined
      ? ''
      : `; the deadline of ${formatSeconds(deadlineSeconds)} is ${inTime ? 'met' : 'MISSED'}${plan.hopeless === true ? ', and no fleet can meet it: see the limits' : ''}`;
  const rows: [string, string][] = [
    ['done after', `${formatSeconds(plan.seconds)}${deadline}`],
    [
      '',
      `last image after ${formatSeconds(plan.inferredSeconds)}, last worker gone after ${formatSeconds(plan.fleetGoneSeconds)}`,
    ],
    [
      'functions',
      `${formatCount(functions.concurrency)} at a time, ${formatMeasure(functions.imagesPerSecond)} images/s each (held back by ${HELD_BACK[functions.heldBackBy]})`,
    ],
    [
      'workers',
      `up to ${formatCount(workers.max)} ${plan.instance} (peak ${formatCount(workers.peak)}), ${formatMeasure(workers.imagesPerSecond)} images/s each (held back by ${HELD_BACK[workers.heldBackBy]})`,
    ],
    [
      '',
      `${workers.hours.toFixed(1)} hours paid, at work for ${percent(workers.utilisation)} of the time they were ready; ` +
        `${formatCount(workers.interruptions)} interrupted, ${formatCount(workers.imagesRepeated)} images repeated`,
    ],
    [
      'backlog',
      `${formatCount(backlog.peakPacks)} packs at most, of ${formatCount(backlog.limitPacks)} allowed`,
    ],
    ['jobs', `${formatCount(plan.jobs)}, in ${plan.pipelines} pipeline(s)`],
    ...deployRows(plan),
  ];
  const lines = [
    `${formatCount(plan.images)} images, ${plan.instance} (${plan.market}), ${plan.region}`,
    '',
    ...rows.map(([name, text]) => `${name.padEnd(12)}${text}`),
    '',
    `cost        ${dollars(cost.usd)}, or ${dollars(cost.usdPerMillion)} a million images`,
    ...cost.items.map(
      ({ item, detail, usd }) => `  ${item.padEnd(22)}${dollars(usd).padStart(10)}  ${detail}`,
    ),
    '',
    'instead',
    ...plan.alternatives.map(({ name, usd }) => `  ${''.padEnd(22)}${dollars(usd).padStart(10)}  ${name}`),
    '',
    'limits',
    ...plan.limits.map(
      ({ name, peak, allowed, unit, binds, remark }) =>
        `  ${binds ? 'BINDS' : 'ok   '} ${name}: ${formatMeasure(peak)} of ${formatMeasure(allowed)}${unit === '' ? '' : ` ${unit}`.replace(' /', '/')}; ${remark}`,
    ),
    '',
    'assumed, not measured (--measurements takes your own):',
    ...Object.entries(plan.assumed).map(([name, { value, note }]) => `  ${name.padEnd(20)}${value}  ${note}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** The settings that come to this: what a stack has by default is not said again. */
function deployRows({ pipelines, environment, notDeployable, settings }: CapacityPlan): [string, string][] {
  const each = pipelines > 1 ? `each of ${pipelines} stacks: ` : '';
  const { growAtPacks, maxBacklogPacks } = settings;
  return [
    [
      'deploy',
      `${each}${Object.keys(environment).length > 0 ? JSON.stringify(environment) : 'the defaults'}`,
    ],
    [
      '',
      `the fleet grows at ${formatCount(growAtPacks)} packs a worker; ${formatCount(maxBacklogPacks)} packs may wait`,
    ],
    ...(notDeployable.length > 0
      ? [['', `no setting of a stack: ${notDeployable.join(', ')}`] satisfies [string, string]]
      : []),
  ];
}

const HELD_BACK: Readonly<Record<string, string>> = {
  processor: 'the processor',
  latency: "S3's latency",
  network: 'the network',
  model: 'the model',
  feeding: 'reading and checking packs',
};

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function dollars(usd: number): string {
  return `$${usd.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}
