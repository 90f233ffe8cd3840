import { meterStart } from '#adapters/meter.ts';
import { ingestHandler } from '../handlers/ingest-handler.ts';
import { checkedDecoders, lambdaContext } from './context.ts';

const { pipeline, log } = await lambdaContext('ingest');

export const handler = await ingestHandler(pipeline, await checkedDecoders(pipeline, log), log);
meterStart('ingest');
