import { meterStart } from '#adapters/meter.ts';
import { finalizeHandler } from '../handlers/finalize-handler.ts';
import { lambdaContext, lambdaDecoders } from './context.ts';

const { pipeline, log } = await lambdaContext('finalize');

export const handler = await finalizeHandler(pipeline, lambdaDecoders(pipeline), log);
meterStart('finalize');
