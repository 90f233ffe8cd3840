import { meterStart } from '#adapters/meter.ts';
import { preprocessHandler } from '../handlers/preprocess-handler.ts';
import { checkedDecoders, lambdaContext } from './context.ts';

const { pipeline, log } = await lambdaContext('preprocess');

export const handler = await preprocessHandler(pipeline, await checkedDecoders(pipeline, log), log);
meterStart('preprocess');
