import { meterStart } from '#adapters/meter.ts';
import { planHandler } from '../handlers/plan-handler.ts';
import { lambdaContext } from './context.ts';

const { pipeline, log } = await lambdaContext('plan');

export const handler = await planHandler(pipeline, log);
meterStart('plan');
