import { Match } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEPLOYED_TERMS, POLLS_PER_HOUR_AND_SOURCE } from '#core/cost/deployed-terms.ts';
import { SynthesizedStack } from '#test/support/synthesized-stack.ts';

const environment = {
  name: 'Sluice',
  sources: [{ bucket: 'photos-of-ours', events: 'event-bridge' }],
  fleet: { image: { dockerfile: 'workers/Dockerfile' } },
};

interface ScalingAlarm {
  readonly Metrics?: readonly {
    readonly Id: string;
    readonly Expression?: string;
    readonly MetricStat?: unknown;
    /** Left out, it does. */
    readonly ReturnData?: boolean;
  }[];
  readonly Threshold: number;
  readonly AlarmActions: { readonly Ref: string }[];
  readonly AlarmDescription: string;
  readonly TreatMissingData: string;
  readonly EvaluationPeriods: number;
}

/** What the alarm looks at. */
function expressionOf({ Metrics = [] }: ScalingAlarm): string | undefined {
  return Metrics.find(({ ReturnData = true }) => ReturnData)?.Expression;
}

describe('the fleet of workers', () => {
  let stack: SynthesizedStack;
  let hidden: SynthesizedStack;

  beforeAll(async () => {
    stack = await SynthesizedStack.of(environment);
    hidden = await SynthesizedStack.of({
      ...environment,
      fleet: {
        image: { uri: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/workers:7' },
        subnets: 'private',
      },
    });
  }, 180_000);
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    await hidden[Symbol.asyncDispose]();
  });

  /** The alarm that sets a scaling policy off, and the policy. */
  function scaling(name: string): { alarm: ScalingAlarm; policy: Record<string, unknown> } {
    const found = stack
      .ofType('AWS::AutoScaling::ScalingPolicy')
      .find(([id]) => id.includes(`Scaling${name}`));
    const [id, { Properties: policy }] = found as [string, { Properties: Record<string, unknown> }];
    const [, { Properties }] = stack
      .ofType('AWS::CloudWatch::Alarm')
      .find(([, alarm]) => JSON.stringify(alarm.Properties['AlarmActions'] ?? []).includes(`"${id}"`)) as [
      string,
      { Properties: unknown },
    ];
    return { alarm: Properties as ScalingAlarm, policy };
  }

  it('may write what a part hands on to the next stage, where there is one', async () => {
    const from = { stage: 'faces', boxes: {} };
    const stages = [
      { name: 'faces', model: 'ultraface' },
      { name: 'content', model: 'nsfwjs', from },
    ];
    await using cascade = await SynthesizedStack.of({ ...environment, pipeline: { cascade: { stages } } });
    const writers = (of: SynthesizedStack): number =>
      of
        .statements()
        .filter(({ Action }) => [Action].flat().includes('s3:PutObject'))
        .filter(({ Resource }) => JSON.stringify(Resource).includes('/shards/*')).length;
    expect(writers(cascade)).toBe(writers(stack) + 1);
    // The packs that are cut out of others are announced to workers by workers.
    const senders = (of: SynthesizedStack): number =>
      of
        .statements()
        .filter(({ Action }) => [Action].flat().includes('sqs:SendMessage'))
        .filter(({ Resource }) => /QueuesBulk(?!Dead)/.test(JSON.stringify(Resource))).length;
    expect(senders(cascade)).toBe(senders(stack) + 1);
    expect(cascade.text).toContain('ultraface');
  });

  it('has no instance as long as there is nothing to do', () => {
    stack.template.hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', {
      MinSize: '0',
      DesiredCapacity: Match.absent(),
    });
  });

  it('reaches zero: eight minutes after the last work, also when queues have fallen silent', () => {
    const { alarm, policy } = scaling('End');
    expect(policy).toMatchObject({
      AdjustmentType: 'PercentChangeInCapacity',
      StepAdjustments: [{ ScalingAdjustment: -100, MetricIntervalUpperBound: 0 }],
    });
    expect(alarm).toMatchObject({
      EvaluationPeriods: 8,
      Threshold: 0,
      ComparisonOperator: 'LessThanOrEqualToThreshold',
      TreatMissingData: 'breaching',
    });
    // While there is no worker it is at rest, and not in the way of whoever wakes the fleet; and it outlasts a start.
    expect(expressionOf(alarm)).toBe('IF(FILL(workers, 0) > 0, work, 1)');
    expect(alarm.EvaluationPeriods * 60).toBeGreaterThan(
      Number(scaling('Wake').policy['EstimatedInstanceWarmup']),
    );
    // What is in hand counts as work, and so do shards whose packs do not exist yet.
    const text = JSON.stringify(alarm);
    for (const queue of ['QueuesLive', 'QueuesBulk', 'QueuesShards', 'QueuesEvents'])
      expect(text).toContain(queue);
    expect(text).toContain('ApproximateNumberOfMessagesNotVisible');
  });

  it('wakes from zero: by the functions that find work, and by its alarm', () => {
    expect(scaling('Wake').policy).toMatchObject({
      AdjustmentType: 'ChangeInCapacity',
      StepAdjustments: [{ ScalingAdjustment: 1, MetricIntervalLowerBound: 0 }],
    });
    const mayWake = stack
      .statements()
      .filter(({ Action }) => Action === 'autoscaling:SetDesiredCapacity')
      .map(({ policy }) => policy.replace(/.*Functions(\w+?)Role.*/, '$1'));
    expect(mayWake.sort()).toEqual(['Ingest', 'Plan']);
    expect(stack.text).toContain('\\"fleet\\":{\\"autoScalingGroup\\":\\"');
  });

  it('asks for no worker twice while the first is starting, and for none where Spot has none', () => {
    const metricOf = (alarm: ScalingAlarm, id: string): unknown =>
      alarm.Metrics?.find((metric) => metric.Id === id)?.MetricStat;
    const wanted = { Metric: { MetricName: 'GroupDesiredCapacity' } };
    const { alarm: asleep } = scaling('Wake');
    expect(expressionOf(asleep)).toBe('IF(FILL(wanted, 0) < 1, work, 0)');
    expect(metricOf(asleep, 'wanted')).toMatchObject(wanted);
    const { alarm: backlog } = scaling('Grow');
    expect(expressionOf(backlog)).toMatch(/\/ MAX\(\[FILL\(wanted, 0\), 1\]\)$/);
    expect(metricOf(backlog, 'wanted')).toMatchObject(wanted);
    const { alarm: live, policy } = scaling('GrowForLive');
    expect(expressionOf(live)).toBe('IF(FILL(workers, 0) >= FILL(wanted, 0), age, 0)');
    expect(live.Threshold).toBeGreaterThan(Number(policy['EstimatedInstanceWarmup']));
  });

  it('grows fast and lets go slowly', () => {
    expect(scaling('Grow').policy).toMatchObject({
      AdjustmentType: 'PercentChangeInCapacity',
      MinAdjustmentMagnitude: 1,
      StepAdjustments: [{ ScalingAdjustment: 50 }, { ScalingAdjustment: 100 }],
    });
    expect(scaling('Grow').alarm.EvaluationPeriods).toBe(2);
    expect(scaling('Shrink').policy).toMatchObject({ StepAdjustments: [{ ScalingAdjustment: -25 }] });
    expect(scaling('Shrink').alarm.EvaluationPeriods).toBe(10);
    expect(scaling('GrowForLive').policy).toMatchObject({ StepAdjustments: [{ ScalingAdjustment: 1 }] });
  });

  it('scales by expressions that CloudWatch takes: at most ten metrics in an alarm', () => {
    for (const [, { Properties }] of stack.ofType('AWS::CloudWatch::Alarm')) {
      const { Metrics = [] } = Properties as unknown as ScalingAlarm;
      expect(Metrics.filter(({ MetricStat }) => MetricStat !== undefined).length).toBeLessThanOrEqual(10);
    }
  });

  it('costs when idle what bills say that it costs', () => {
    const alarms = stack.ofType('AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties);
    const metrics = alarms.map(({ Metrics }) =>
      Metrics === undefined
        ? 1
        : (Metrics as { MetricStat?: unknown }[]).filter(({ MetricStat }) => MetricStat !== undefined).length,
    );
    expect(DEPLOYED_TERMS).toMatchObject({
      alarmMetrics: metrics.reduce((sum, count) => sum + count, 0),
      dashboards: stack.ofType('AWS::CloudWatch::Dashboard').length,
      emptyPollsPerHour: stack.ofType('AWS::Lambda::EventSourceMapping').length * POLLS_PER_HOUR_AND_SOURCE,
    });
    expect(stack.text).toContain('"rate(1 minute)"');
  });

  it('keeps an instance whose worker has packs in hand, and drains it when it must go', () => {
    const statement = stack.statements().find(({ Action }) => Action === 'autoscaling:SetInstanceProtection');
    expect(statement?.policy).toContain('TaskRole');
    stack.template.hasResourceProperties('AWS::ECS::CapacityProvider', {
      AutoScalingGroupProvider: { ManagedDraining: 'ENABLED', ManagedScaling: Match.absent() },
    });
    expect(stack.text).toContain('ECS_ENABLE_SPOT_INSTANCE_DRAINING=true');
    // Instances may write no log themselves: the role that starts the task does.
    expect(stack.text).toContain('ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE=true');
    stack.template.hasResourceProperties('AWS::ECS::TaskDefinition', {
      ContainerDefinitions: [Match.objectLike({ StopTimeout: 120 })],
    });
  });

  it('buys Spot instances of several kinds, and replaces them before they are taken', () => {
    stack.template.hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', {
      CapacityRebalance: true,
      MixedInstancesPolicy: {
        InstancesDistribution: { OnDemandBaseCapacity: 0, OnDemandPercentageAboveBaseCapacity: 0 },
        LaunchTemplate: {
          Overrides: ['g4dn.xlarge', 'g4dn.2xlarge', 'g6.xlarge', 'g5.xlarge'].map((InstanceType) => ({
            InstanceType,
          })),
        },
      },
    });
  });

  it('runs one task for the GPU of each instance', () => {
    stack.template.hasResourceProperties('AWS::ECS::Service', { SchedulingStrategy: 'DAEMON' });
    stack.template.hasResourceProperties('AWS::ECS::TaskDefinition', {
      ContainerDefinitions: [
        Match.objectLike({
          ResourceRequirements: [{ Type: 'GPU', Value: '1' }],
          HealthCheck: Match.objectLike({ Command: Match.arrayWith(['CMD', 'node']) }),
        }),
      ],
    });
    stack.template.hasParameter('*', { Default: Match.stringLikeRegexp('amazon-linux-2023/gpu') });
  });

  it('is in three zones, each a market for Spot, though nobody has said where the stack goes', () => {
    const zones = stack
      .ofType('AWS::EC2::Subnet')
      .map(([, { Properties }]) => Properties['AvailabilityZone']);
    expect(new Set(zones.map((zone) => JSON.stringify(zone))).size).toBe(3);
  });

  it('lets nothing in, has no NAT gateway, and reaches S3 without the internet', () => {
    for (const { template } of [stack, hidden]) {
      template.resourceCountIs('AWS::EC2::NatGateway', 0);
      template.hasResourceProperties('AWS::EC2::VPCEndpoint', { VpcEndpointType: 'Gateway' });
      template.hasResourceProperties('AWS::EC2::LaunchTemplate', {
        LaunchTemplateData: { MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 } },
      });
    }
  });

  it('has endpoints for what it speaks to only where it has no way to the internet', () => {
    const interfaces = (one: SynthesizedStack): number =>
      one
        .ofType('AWS::EC2::VPCEndpoint')
        .filter(([, { Properties }]) => Properties['VpcEndpointType'] === 'Interface').length;
    expect(interfaces(stack)).toBe(0);
    expect(interfaces(hidden)).toBe(8);
    hidden.template.resourceCountIs('AWS::EC2::InternetGateway', 0);
  });

  it('may pull its image from the repository that it names, and from no other', () => {
    const pulls = hidden.statements().filter(({ Action }) => [Action].flat().includes('ecr:BatchGetImage'));
    expect(JSON.stringify(pulls.map(({ Resource }) => Resource))).toContain(
      ':ecr:eu-west-1:123456789012:repository/team/workers',
    );
    expect(pulls).toHaveLength(1);
  });
});
