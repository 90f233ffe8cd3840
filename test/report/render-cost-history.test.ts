import { describe, expect, it } from 'vitest';
import { costHistory } from '#core/cost/cost-history.ts';
import { formatUsd } from '#report/money.ts';
import { renderCostHistory } from '#report/render-cost-history.ts';
import { costOf, meteredJob, prices } from '#test/support/metered-jobs.ts';
import { itMeetsPageStandards } from '#test/support/page-standards.ts';

/** Jobs of three o'clock, one a night. */
function nights(images: readonly number[], from = Date.UTC(2026, 9, 30, 3)) {
  return costHistory(
    images.map((count, i) => ({
      completedAt: new Date(from + i * 86_400_000).toISOString(),
      job: meteredJob(`night-${i}`, count),
    })),
    (jobs) => costOf(...jobs),
  );
}

function render(history: ReturnType<typeof costHistory>): string {
  return renderCostHistory(history, { title: 'Cost since 2026-10-30', prices });
}

/** The columns of each chart: their titles, and the kind, top and height of their parts from the ground up. */
function chartsOf(page: string) {
  return [...page.matchAll(/<svg class="columns[^"]*"[^>]*>(.*?)<\/svg>/gs)].map(([, chart = '']) =>
    [...chart.matchAll(/<g><title>(.*?)<\/title>(.*?)<\/g>/gs)].map(([, title, rects = '']) => ({
      title,
      parts: [
        ...rects.matchAll(/class="fill (\w+)" x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"/g),
      ].map(([, kind, x, y, height]) => ({ kind, x: Number(x), y: Number(y), height: Number(height) })),
    })),
  );
}

describe('the cost of the nights', () => {
  itMeetsPageStandards((name) =>
    renderCostHistory(
      costHistory([{ completedAt: '2026-11-21T03:00:00.000Z', job: meteredJob(name) }], (jobs) =>
        costOf(...jobs),
      ),
      { title: name, prices },
    ),
  );

  it('has a column for each job in the order of completion, by stage, with what was for nothing on top', () => {
    const [dollars = [], rate = [], images = []] = chartsOf(render(nights([1000, 4000, 2000])));
    expect(dollars.map(({ title }) => title?.slice(0, 8))).toEqual(['night-0,', 'night-1,', 'night-2,']);
    const heights = dollars.map(({ parts }) => parts.reduce((sum, { height }) => sum + height, 0));
    for (const { parts } of dollars) {
      expect(parts.map(({ kind }) => kind)).toEqual(['preprocess', 'worker', 'wasted']);
      // Each lies on the one before.
      for (const [i, { y }] of parts.slice(0, -1).entries())
        expect((parts[i + 1]?.y ?? 0) + (parts[i + 1]?.height ?? 0)).toBeCloseTo(y, 6);
    }
    expect((heights[1] ?? 0) / (heights[0] ?? 1)).toBeCloseTo(4, 1);
    expect((heights[2] ?? 0) / (heights[0] ?? 1)).toBeCloseTo(2, 1);
    const xs = dollars.map(({ parts }) => parts[0]?.x ?? 0);
    expect(xs).toEqual([...xs].sort((a, b) => a - b));
    // A million images cost about the same each night.
    const rates = rate.map(({ parts }) => parts.reduce((sum, { height }) => sum + height, 0));
    expect(Math.max(...rates) / Math.min(...rates)).toBeLessThan(1.02);
    expect(images.map(({ parts }) => parts.map(({ kind }) => kind))).toEqual([
      ['images'],
      ['images'],
      ['images'],
    ]);
  });

  it('has all of it in tables too: month by month, job by job', () => {
    const history = nights([1000, 4000, 2000]);
    expect(history.months.map(({ month, jobs }) => [month, jobs.length])).toEqual([
      ['2026-10', 2],
      ['2026-11', 1],
    ]);
    const text = render(history).replace(/<[^>]*>/g, ' ');
    for (const part of [
      formatUsd(history.all.usd),
      ...history.months.map(({ total }) => formatUsd(total.usd)),
      ...history.months.flatMap(({ jobs }) => jobs.map(({ usd }) => formatUsd(usd))),
      '30 Oct 2026, 03:00 UTC',
      '7,000 images in 3 jobs',
      'Rekognition image moderation',
      'left out: functions that were ended',
    ])
      expect(text).toContain(part);
  });

  it('says in words what a chart shows', () => {
    const { months } = nights([1000, 4000]);
    const [least, most] = months.flatMap(({ jobs }) => jobs.map(({ usd }) => formatUsd(usd)));
    expect(render(nights([1000, 4000]))).toContain(
      `aria-label="Dollars a job: 2 jobs, from 30 Oct 2026 to 31 Oct 2026; the least ${least}, the most ${most}.`,
    );
  });

  it('charts the latest of very many, and says so', () => {
    const page = render(nights(Array.from({ length: 450 }, () => 1000)));
    const [dollars = []] = chartsOf(page);
    expect(dollars).toHaveLength(400);
    expect(dollars.at(-1)?.title).toMatch(/^night-449,/);
    expect(page).toContain('the latest 400 of 450');
    expect(page.match(/<bdi>night-/g)).toHaveLength(450);
  });

  it('renders a time without jobs, and jobs that have consumed nothing', () => {
    expect(render(nights([]))).toContain('No job was completed in this time.');
    for (const page of [render(nights([])), render(nights([0, 0]))]) {
      expect(page).toMatch(/<\/html>\s*$/);
      expect(page).not.toMatch(/NaN|Infinity|undefined/);
    }
  });
});
