import { meterStart } from '#adapters/meter.ts';
import { preprocessHandler } from '../handlers/preprocess-handler.ts';
import { lambdaContext, lambdaDecoders } from './context.ts';

const { pipeline, log } = await lambdaContext('preprocess');

export const handler = await preprocessHandler(pipeline, lambdaDecoders(pipeline), log);
meterStart('preprocess');
