import { parseArgs } from 'node:util';
import { jsonLog } from '#adapters/json-log.ts';
import { untoldUsage } from '#adapters/meter.ts';
import { openPipeline } from '#adapters/pipeline.ts';
import { FUNCTION_NAMES, type FunctionName, runFunctions } from './functions.ts';

// The functions of a pipeline as a process of their own, so that it can be killed like one.
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    concurrency: { type: 'string', default: '4' },
    processes: { type: 'string', default: '2' },
    'finalize-every-ms': { type: 'string', default: '1000' },
    'budget-every-ms': { type: 'string', default: '60000' },
  },
});
const only = positionals.length === 0 ? FUNCTION_NAMES : (positionals as FunctionName[]);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
process.on('SIGINT', () => stop.abort());
const log = jsonLog({ functions: only.join(',') });
await runFunctions(
  await openPipeline(undefined, process.env),
  {
    only,
    preprocessConcurrency: Number(values.concurrency),
    processes: Number(values.processes),
    finalizeEveryMs: Number(values['finalize-every-ms']),
    budgetEveryMs: Number(values['budget-every-ms']),
    log,
  },
  stop.signal,
);
log.info('stopped', { untold: untoldUsage() });
