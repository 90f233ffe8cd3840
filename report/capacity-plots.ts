import { formatCount } from './format.ts';
import type { Html } from './html.ts';
import { timePlot } from './time-plot.ts';

/** A moment of a planned fleet, with what it has cost up to then. */
export interface PlotSample {
  readonly atS: number;
  readonly backlogPacks: number;
  readonly invocations: number;
  readonly workers: number;
  readonly ready: number;
  /** 0 to 1. */
  readonly utilisation: number;
  readonly usd: number;
}

/** The plots of a planned fleet, by the names of their files. */
export function capacityPlots(samples: readonly PlotSample[]): Readonly<Record<string, Html>> {
  const line = (name: string, pick: (sample: PlotSample) => number) => ({
    name,
    points: samples.map((sample) => [sample.atS, pick(sample)] as const),
  });
  return {
    'backlog.svg': timePlot({
      title: 'Packs that wait for workers',
      unit: 'packs',
      lines: [line('packs', (sample) => sample.backlogPacks)],
      label: formatCount,
    }),
    'fleet.svg': timePlot({
      title: 'GPU workers',
      unit: 'workers',
      lines: [line('paid', (sample) => sample.workers), line('ready', (sample) => sample.ready)],
      label: short,
    }),
    'functions.svg': timePlot({
      title: 'Invocations of preprocess',
      unit: 'at a time',
      lines: [line('invocations', (sample) => sample.invocations)],
      label: formatCount,
    }),
    'utilisation.svg': timePlot({
      title: 'GPU workers at work',
      unit: 'of those ready',
      lines: [line('utilisation', (sample) => sample.utilisation)],
      atLeast: 1,
      label: (share) => `${Math.round(share * 100)} %`,
    }),
    'cost.svg': timePlot({
      title: 'Cost so far',
      unit: 'US dollars',
      lines: [line('usd', (sample) => sample.usd)],
      label: (usd) => `$${short(usd)}`,
    }),
  };
}

function short(value: number): string {
  return Number(value.toPrecision(4)).toLocaleString('en-US');
}
