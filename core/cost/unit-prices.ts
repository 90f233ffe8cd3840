import type { CostAssumptions } from './assumptions.ts';
import { workerHourUsd } from './cost-items.ts';
import { instanceHour, type Prices } from './prices.ts';

/** One price that a report reckons with. */
export interface UnitPrice {
  readonly name: string;
  readonly usd: number;
  readonly per: string;
  /** Left out for what was given instead of the price file's. */
  readonly asOf?: string;
  readonly source?: string;
}

type Figure = { readonly usd: number; readonly per: string; readonly asOf: string; readonly source: string };

/** All prices that a report reckons with, each with its date and source. */
export function unitPrices(assumptions: CostAssumptions, prices: Prices): UnitPrice[] {
  const { lambda, sqs, s3, ebs, network, cloudwatch, alternatives } = prices;
  const { architecture, instanceType, market, spotHourUsd, sageMakerInstance } = assumptions;
  const given = market === 'spot' ? spotHourUsd : undefined;
  const hour = given === undefined ? instanceHour(prices, instanceType, market) : undefined;
  const figures: readonly (readonly [string, Figure | undefined])[] = [
    [`Lambda, ${architecture}`, lambda[architecture]],
    ['Lambda requests', lambda.requests],
    ['SQS', sqs.standard],
    ['S3 PUT, COPY, POST', s3.put],
    ['S3 GET, HEAD', s3.get],
    ['S3 LIST', s3.list],
    ['S3 storage', s3.storage],
    ['EBS gp3', ebs.gp3],
    ['public IPv4', network.publicIpv4],
    ['interface endpoint', network.interfaceEndpoint],
    ['interface endpoint, data', network.interfaceEndpointData],
    ['data between zones', network.betweenZones],
    ['data to the internet', network.toInternet],
    ['CloudWatch Logs', cloudwatch.logs],
    ['CloudWatch metric', cloudwatch.metric],
    ['CloudWatch alarm metric', cloudwatch.alarm],
    ['CloudWatch dashboard', cloudwatch.dashboard],
    [`SageMaker ${sageMakerInstance}`, alternatives.sageMaker[sageMakerInstance]],
  ];
  const name = `${instanceType}, ${hour?.market ?? market}`;
  return [
    hour === undefined
      ? { name, usd: workerHourUsd(assumptions, prices), per: 'hour' }
      : { name, ...hour.price },
    ...figures.flatMap(([what, figure]) => (figure === undefined ? [] : [{ name: what, ...figure }])),
  ];
}
