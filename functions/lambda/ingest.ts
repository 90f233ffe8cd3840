import { meterStart } from '#adapters/meter.ts';
import { ingestHandler } from '../handlers/ingest-handler.ts';
import { lambdaContext, lambdaDecoders } from './context.ts';

const { pipeline, log } = await lambdaContext('ingest');

export const handler = await ingestHandler(pipeline, lambdaDecoders(pipeline), log);
meterStart('ingest');
