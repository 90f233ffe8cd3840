import { Duration, RemovalPolicy, Size, Stack } from 'aws-cdk-lib';
import {
  AutoScalingGroup,
  GroupMetrics,
  OnDemandAllocationStrategy,
  SpotAllocationStrategy,
  UpdatePolicy,
} from 'aws-cdk-lib/aws-autoscaling';
import {
  BlockDeviceVolume,
  EbsDeviceVolumeType,
  InstanceType,
  LaunchTemplate,
  LaunchTemplateHttpTokens,
  UserData,
} from 'aws-cdk-lib/aws-ec2';
import {
  AmiHardwareType,
  AsgCapacityProvider,
  Cluster,
  Ec2Service,
  Ec2TaskDefinition,
  EcsOptimizedImage,
  type ICluster,
  LogDrivers,
  MachineImageType,
  NetworkMode,
} from 'aws-cdk-lib/aws-ecs';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { DEPLOYED_SCALING } from '#core/fleet-scaling.ts';
import { acknowledge, acknowledgeWildcard } from './acknowledge.ts';
import { FleetNetwork, type FleetNetworkProps } from './fleet-network.ts';
import { createInstanceRole } from './instance-role.ts';
import { containerImage, type WorkerImage } from './worker-image.ts';

/** Instances with one GPU: a task has the instance to itself, and the GPU is what is paid for. */
export const WorkerInstance = {
  /** NVIDIA T4, 4 vCPU. */
  G4DN_XLARGE: 'g4dn.xlarge',
  /** NVIDIA T4, 8 vCPU: another market where there is no g4dn.xlarge. */
  G4DN_2XLARGE: 'g4dn.2xlarge',
  /** NVIDIA A10G, 4 vCPU. */
  G5_XLARGE: 'g5.xlarge',
  /** NVIDIA L4, 4 vCPU. */
  G6_XLARGE: 'g6.xlarge',
} as const;
export type WorkerInstance = (typeof WorkerInstance)[keyof typeof WorkerInstance];

export interface WorkerFleetProps extends FleetNetworkProps {
  readonly image: WorkerImage;
  /** The most preferred first. @default g4dn.xlarge, g4dn.2xlarge, g6.xlarge, g5.xlarge: the more markets, the more Spot */
  readonly instances?: readonly WorkerInstance[];
  /** @default 4: they take 16 vCPUs of G instances, and new accounts have a quota of 8 at the most: docs/deploy.md says what to raise */
  readonly maxWorkers?: number;
  /** Workers that run day and night. @default 0: an idle GPU costs more than anything else here */
  readonly minWorkers?: number;
  /** Packs for each worker from which the fleet grows. @default 200; `sluice plan-capacity` finds what a slow or fast model needs */
  readonly growAtPacks?: number;
  /** On-demand instances among them, before any Spot instance. @default 0: packs go back when Spot takes an instance */
  readonly onDemandWorkers?: number;
}

export interface WorkerTaskProps {
  /** What SLUICE_PIPELINE is to be. */
  readonly pipeline: string;
}

const DEFAULT_INSTANCES = [
  WorkerInstance.G4DN_XLARGE,
  WorkerInstance.G4DN_2XLARGE,
  WorkerInstance.G6_XLARGE,
  WorkerInstance.G5_XLARGE,
];
/** What the GPU image of ECS needs, with room for the worker's image of CUDA, cuDNN and TensorRT. */
const DISK = Size.gibibytes(60);
/** A g4dn.xlarge has 16 GiB, of which system and ECS agent keep about one. */
const MEMORY_MIB = 14_000;
/** ECS kills a task so long after SIGTERM; a worker drains within 85 s. Spot's notice is as long. */
const STOP_TIMEOUT = Duration.seconds(120);
const HEALTH_PORT = 8080;
const HEALTH_CHECK = `fetch('http://127.0.0.1:${HEALTH_PORT}/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))`;
const START_PERIOD = Duration.minutes(1);

/**
 * GPU workers: an ECS cluster over an auto scaling group of Spot instances, one daemon task on each instance. The group
 * has no instance where there is no work. docs/deploy.md says why it is this and not AWS Batch, ECS Managed Instances, or
 * capacity-provider scaling.
 */
export class WorkerFleet extends Construct {
  readonly group: AutoScalingGroup;
  readonly logs: LogGroup;
  /** What the workers themselves may do. */
  readonly taskRole: Role;
  readonly #cluster: Cluster;
  readonly #props: WorkerFleetProps;

  constructor(scope: Construct, id: string, props: WorkerFleetProps) {
    super(scope, id);
    this.#props = props;
    const network = new FleetNetwork(this, 'Network', props);
    this.#cluster = new Cluster(this, 'Cluster', { vpc: network.vpc });
    acknowledge(
      this.#cluster,
      'ECS4',
      'Workers send metrics of their own; Container Insights would bill each task again.',
    );
    this.group = this.#createGroup(network);
    const capacity = new AsgCapacityProvider(this, 'Capacity', {
      autoScalingGroup: this.group,
      machineImageType: MachineImageType.AMAZON_LINUX_2,
      // It starts two instances where one would do, and keeps them for 15 minutes: see docs/deploy.md.
      enableManagedScaling: false,
      enableManagedTerminationProtection: false,
      // An instance that the group takes away stops its task by SIGTERM first.
      enableManagedDraining: true,
    });
    this.#cluster.addAsgCapacityProvider(capacity);
    this.logs = new LogGroup(this, 'Logs', {
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.taskRole = new Role(this, 'TaskRole', {
      assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
    });
    const groupArn = this.group.autoScalingGroupArn;
    acknowledgeWildcard(
      this.taskRole,
      groupArn,
      'The ARN of a group holds an id that only AWS knows; its name is whole.',
    );
    this.taskRole.addToPolicy(
      new PolicyStatement({ actions: ['autoscaling:SetInstanceProtection'], resources: [groupArn] }),
    );
  }

  /** Starts a worker on each instance. */
  run({ pipeline }: WorkerTaskProps): void {
    const task = new Ec2TaskDefinition(this, 'Task', {
      networkMode: NetworkMode.HOST,
      taskRole: this.taskRole,
    });
    acknowledge(
      task,
      'ECS2',
      'The description of the pipeline names queues and a bucket; nothing in it is secret.',
    );
    task.addContainer('worker', {
      image: containerImage(this, this.#props.image),
      environment: { SLUICE_PIPELINE: pipeline, AWS_REGION: Stack.of(this).region },
      command: ['worker', '--health-port', String(HEALTH_PORT), '--health-host', '127.0.0.1'],
      gpuCount: 1,
      memoryReservationMiB: MEMORY_MIB,
      stopTimeout: STOP_TIMEOUT,
      logging: LogDrivers.awsLogs({ logGroup: this.logs, streamPrefix: 'worker' }),
      healthCheck: {
        command: ['CMD', 'node', '-e', HEALTH_CHECK],
        interval: Duration.seconds(30),
        startPeriod: START_PERIOD,
        retries: 3,
      },
    });
    if (task.executionRole !== undefined) {
      acknowledge(task, 'IAM5[Resource::*]', 'ecr:GetAuthorizationToken takes no resource.');
    }
    new Ec2Service(this, 'Service', {
      cluster: this.#cluster as ICluster,
      taskDefinition: task,
      daemon: true,
      // A GPU takes one task: the old one must be gone, having handed back what it has not begun, before the new one starts.
      minHealthyPercent: 0,
      maxHealthyPercent: 100,
    });
  }

  #createGroup(network: FleetNetwork): AutoScalingGroup {
    const {
      instances = DEFAULT_INSTANCES,
      maxWorkers = DEPLOYED_SCALING.maxWorkers,
      minWorkers = 0,
    } = this.#props;
    const userData = UserData.forLinux();
    userData.addCommands(
      // The property of that name is ignored beside a mixed-instances policy.
      'echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config',
      'echo ECS_ENABLE_GPU_SUPPORT=true >> /etc/ecs/ecs.config',
      'echo ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE=true >> /etc/ecs/ecs.config',
      // Each minute of downloading an image is a minute of a GPU: what is there is not asked for again.
      'echo ECS_IMAGE_PULL_BEHAVIOR=once >> /etc/ecs/ecs.config',
    );
    const template = new LaunchTemplate(this, 'Template', {
      machineImage: EcsOptimizedImage.amazonLinux2023(AmiHardwareType.GPU),
      instanceType: new InstanceType(instances[0] as string),
      userData,
      role: createInstanceRole(this, 'InstanceRole', this.#cluster as ICluster),
      securityGroup: network.securityGroup,
      associatePublicIpAddress: network.hasPublicAddresses,
      httpTokens: LaunchTemplateHttpTokens.REQUIRED,
      // Workers share the instance's network: one hop is enough to hear of interruptions.
      httpPutResponseHopLimit: 1,
      blockDevices: [
        {
          deviceName: '/dev/xvda',
          volume: BlockDeviceVolume.ebs(DISK.toGibibytes(), {
            encrypted: true,
            volumeType: EbsDeviceVolumeType.GP3,
          }),
        },
      ],
    });
    const group = new AutoScalingGroup(this, 'Group', {
      vpc: network.vpc,
      vpcSubnets: network.subnets,
      minCapacity: minWorkers,
      maxCapacity: maxWorkers,
      mixedInstancesPolicy: {
        launchTemplate: template,
        launchTemplateOverrides: instances.map((type) => ({ instanceType: new InstanceType(type) })),
        instancesDistribution: {
          onDemandBaseCapacity: this.#props.onDemandWorkers ?? 0,
          onDemandPercentageAboveBaseCapacity: 0,
          onDemandAllocationStrategy: OnDemandAllocationStrategy.PRIORITIZED,
          spotAllocationStrategy: SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED,
        },
      },
      // A replacement starts when Spot says that an instance is at risk, and not when it is gone.
      capacityRebalance: true,
      groupMetrics: [GroupMetrics.all()],
      updatePolicy: UpdatePolicy.rollingUpdate({ minInstancesInService: 0, maxBatchSize: maxWorkers }),
    });
    acknowledge(
      group,
      'EC26',
      'It does not follow the launch template, whose disk is encrypted: a test looks.',
    );
    acknowledge(group, 'AS3', 'The group changes its size many times a night; the dashboard shows it.');
    return group;
  }
}
