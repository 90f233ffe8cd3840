import { Tally } from '#adapters/meter.ts';

/** What earlier jobs of this process have left to be told is not the next one's. */
export function forgetEarlierUsage(): void {
  const earlier = new Tally('finalize');
  earlier.seal({ all: true });
  earlier.stored();
}
