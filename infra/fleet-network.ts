import { Fn, Stack } from 'aws-cdk-lib';
import {
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  type SubnetSelection,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

/** How workers reach AWS. */
export const FleetSubnets = {
  /** Public addresses, and no inbound rule at all. It costs nothing but the addresses, while instances run. */
  PUBLIC: 'public',
  /** No way to the internet: an endpoint for each service. They cost money day and night, whether used or not. */
  PRIVATE: 'private',
} as const;
export type FleetSubnets = (typeof FleetSubnets)[keyof typeof FleetSubnets];

/** What an ECS instance and the worker on it speak to, beside S3. */
const SERVICES = {
  Sqs: InterfaceVpcEndpointAwsService.SQS,
  AutoScaling: InterfaceVpcEndpointAwsService.AUTOSCALING,
  EcrApi: InterfaceVpcEndpointAwsService.ECR,
  EcrDocker: InterfaceVpcEndpointAwsService.ECR_DOCKER,
  Logs: InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
  Ecs: InterfaceVpcEndpointAwsService.ECS,
  EcsAgent: InterfaceVpcEndpointAwsService.ECS_AGENT,
  EcsTelemetry: InterfaceVpcEndpointAwsService.ECS_TELEMETRY,
} as const;

const SUBNETS = 'workers';
const ZONES = 3;
const PRIVATE_ZONES = 2;

export interface FleetNetworkProps {
  /** @default FleetSubnets.PUBLIC: free, and nobody can connect to it */
  readonly subnets?: FleetSubnets;
  /**
   * A network that is there already. Its subnets of that kind must lead to S3, SQS, ECR, ECS, Auto Scaling and CloudWatch Logs.
   *
   * @default one of their own: workers have nothing to do with anybody else's
   */
  readonly vpc?: IVpc;
  /**
   * @default 3 public ones: each is another market for Spot instances, and nearly all regions have so many; 2 private ones:
   * interface endpoints are paid for by the zone
   */
  readonly zones?: number;
}

/**
 * The network of the workers. Nothing connects to a worker, so nothing is let in; out goes HTTPS. Packs travel through
 * the gateway endpoint of S3, which is free: over a NAT gateway they would cost more than the instances.
 */
export class FleetNetwork extends Construct {
  readonly vpc: IVpc;
  readonly subnets: SubnetSelection;
  readonly securityGroup: SecurityGroup;
  readonly hasPublicAddresses: boolean;

  constructor(scope: Construct, id: string, props: FleetNetworkProps = {}) {
    super(scope, id);
    const isPublic = (props.subnets ?? FleetSubnets.PUBLIC) === FleetSubnets.PUBLIC;
    const vpc = props.vpc ?? this.#createVpc(isPublic, props.zones);
    this.securityGroup = new SecurityGroup(this, 'Workers', {
      vpc,
      description: 'Workers: nothing in, HTTPS out',
      allowAllOutbound: false,
    });
    this.securityGroup.addEgressRule(Peer.anyIpv4(), Port.HTTPS, 'AWS, and where images are pulled from');
    if (!isPublic && props.vpc === undefined) this.#addEndpoints(vpc);
    this.vpc = vpc;
    const ofOthers = { subnetType: isPublic ? SubnetType.PUBLIC : SubnetType.PRIVATE_WITH_EGRESS };
    this.subnets = props.vpc === undefined ? { subnetGroupName: SUBNETS } : ofOthers;
    this.hasPublicAddresses = isPublic;
  }

  #createVpc(isPublic: boolean, zones = isPublic ? ZONES : PRIVATE_ZONES): IVpc {
    const subnetType = isPublic ? SubnetType.PUBLIC : SubnetType.PRIVATE_ISOLATED;
    const vpc = new Vpc(this, 'Vpc', {
      // The CDK would take two zones where a stack does not say where it goes, and ask the account where it does.
      availabilityZones: Array.from({ length: zones }, (_, i) => Fn.select(i, Fn.getAzs())),
      natGateways: 0,
      subnetConfiguration: [{ name: SUBNETS, subnetType }],
      gatewayEndpoints: { S3: { service: GatewayVpcEndpointAwsService.S3 } },
      // The CDK's classes and interfaces differ in whether an optional member may be undefined.
    }) as IVpc;
    acknowledge(
      vpc,
      'VPC7',
      'Workers speak to AWS alone, whose own logs say who asked what: S3, SQS, CloudTrail.',
    );
    return vpc;
  }

  #addEndpoints(vpc: IVpc): void {
    const group = new SecurityGroup(this, 'Endpoints', {
      vpc,
      description: `Endpoints for the workers of ${Stack.of(this).stackName}`,
      allowAllOutbound: false,
    });
    group.addIngressRule(this.securityGroup, Port.HTTPS, 'Workers');
    for (const [name, service] of Object.entries(SERVICES)) {
      vpc.addInterfaceEndpoint(name, { service, open: false, securityGroups: [group] });
    }
  }
}
