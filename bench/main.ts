import { backfillBench } from './backfill.ts';
import { capacityBench } from './capacity.ts';
import { capacityCloudBench } from './capacity-cloud.ts';
import { coldStartBench } from './cold-start.ts';
import { decodeBench } from './decode.ts';
import { gpuBench } from './gpu/gpu.ts';
import { liveLatencyBench } from './live-latency.ts';
import { memoryBench } from './memory.ts';
import { nearDuplicatesBench } from './near-duplicates.ts';
import { pipelineBench } from './pipeline.ts';
import { preprocessBench } from './preprocess.ts';
import { quantizeBench } from './quantize.ts';
import { quoteBench } from './quote.ts';
import { type BenchResult, jsonLine, table } from './support/bench.ts';
import { transportBench } from './transport.ts';

const BENCHES: Readonly<Record<string, () => Promise<BenchResult[]>>> = {
  preprocess: preprocessBench,
  pipeline: pipelineBench,
  memory: memoryBench,
  'near-duplicates': nearDuplicatesBench,
  transport: transportBench,
  'live-latency': liveLatencyBench,
  backfill: backfillBench,
  capacity: capacityBench,
  'capacity-cloud': capacityCloudBench,
  'cold-start': coldStartBench,
  gpu: gpuBench,
  decode: decodeBench,
  quantize: quantizeBench,
  quote: quoteBench,
};

const [name = '', ...flags] = process.argv.slice(2);
const bench = BENCHES[name];
if (bench === undefined) {
  console.error(`usage: npm run bench -- <${Object.keys(BENCHES).join(' | ')}> [--json]`);
  process.exit(2);
}
const results = await bench();
console.log(flags.includes('--json') ? jsonLine(name, results) : table(name, results));
const missed = results.filter(({ met }) => met === false);
if (missed.length > 0) {
  console.error(`missed: ${missed.map(({ metric }) => metric).join('; ')}`);
  process.exitCode = 1;
}
