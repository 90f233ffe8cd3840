import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { App, Stack, Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { AwsSolutionsChecks } from 'cdk-nag';
import { Construct } from 'constructs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PlanMessage, parseMessage } from '#core/messages.ts';
import { ObjectEvents } from '#infra/audit-functions.ts';
import { ImageAudit } from '#infra/image-audit.ts';
import { type Resource, SynthesizedStack } from '#test/support/synthesized-stack.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const environment = {
  name: 'Sluice',
  sources: [
    {
      bucket: 'photos-of-ours',
      events: 'event-bridge',
      backfills: [
        { name: 'nightly', prefix: '2026/', schedule: 'cron(0 1 * * ? *)', timeZone: 'Europe/Berlin' },
      ],
    },
  ],
  pipeline: { packSize: 32, actions: [{ on: ['reject'], tag: true, send: true }] },
  fleet: { image: { dockerfile: 'workers/Dockerfile' } },
  alarmEmail: 'somebody@example.com',
  budget: { monthlyUsd: 200, email: 'somebody@example.com' },
};

/** Everything that can be chosen, chosen otherwise. */
const customized = {
  ...environment,
  sources: [
    {
      ...environment.sources[0],
      events: 'notification',
      backfills: [
        {
          name: 'from-inventory',
          inventory: { bucket: 'reports-of-ours', folder: 'inventory/photos-of-ours/daily/' },
          schedule: 'cron(0 6 * * ? *)',
        },
      ],
    },
  ],
  lanes: { live: { gatherSeconds: 5, concurrency: 9 }, bulk: { drainWithinMinutes: 60 } },
  fleet: {
    image: { uri: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/workers:7' },
    subnets: 'private',
    instances: ['g5.xlarge'],
    maxWorkers: 9,
    minWorkers: 1,
    onDemandWorkers: 1,
    buildsEngines: false,
  },
  quarantine: true,
  keyArn: 'arn:aws:kms:eu-west-1:123456789012:key/1b2c3d4e-0000-4000-8000-123456789abc',
};

/** Nothing is sent, for an account that can reserve nothing. */
const silence = {
  name: 'Sluice',
  region: 'us-east-1',
  sources: [
    {
      bucket: 'photos-of-ours',
      backfills: [{ name: 'nightly', schedule: 'rate(1 day)', budgetUsd: 25 }],
    },
  ],
  finalizesAlone: false,
  runbookUrl: 'https://example.com/runbook',
};

describe('the stack', () => {
  let stack: SynthesizedStack;
  let other: SynthesizedStack;
  let silent: SynthesizedStack;

  beforeAll(async () => {
    stack = await SynthesizedStack.of(environment);
    other = await SynthesizedStack.of(customized);
    silent = await SynthesizedStack.of(silence);
  }, 180_000);
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    await silent[Symbol.asyncDispose]();
  });

  it('is the same when it is made again', async () => {
    await using again = await SynthesizedStack.of(environment);
    // The folders of the packages have other names; their content names them in the template.
    expect(again.template.toJSON()).toEqual(stack.template.toJSON());
  });

  it('gives every queue a dead-letter queue that takes its letters alone, and an alarm on it', () => {
    const queues = stack.ofType('AWS::SQS::Queue');
    expect(queues).toHaveLength(12);
    const alarms = JSON.stringify(
      stack.ofType('AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties['Metrics']),
    );
    const dead = new Set<string>();
    for (const [, { Properties }] of queues) {
      const policy = Properties['RedrivePolicy'] as
        | { deadLetterTargetArn: { 'Fn::GetAtt': [string] } }
        | undefined;
      if (policy === undefined) continue;
      const id = policy.deadLetterTargetArn['Fn::GetAtt'][0];
      dead.add(id);
      expect(alarms).toContain(id);
      const allowed = stack.resources[id]?.Properties['RedriveAllowPolicy'] as {
        redrivePermission: string;
        sourceQueueArns: object[];
      };
      expect(allowed.redrivePermission).toBe('byQueue');
      expect(JSON.stringify(allowed.sourceQueueArns)).toContain(`:${String(Properties['QueueName'])}"`);
    }
    expect(dead.size).toBe(6);
  });

  it('keeps messages invisible for at least six times as long as their function may take', () => {
    const timeouts = new Map(
      stack
        .ofType('AWS::Lambda::Function')
        .map(([id, { Properties }]) => [id, Number(Properties['Timeout'])]),
    );
    const mappings = stack.ofType('AWS::Lambda::EventSourceMapping');
    expect(mappings).toHaveLength(3);
    for (const [, { Properties }] of mappings) {
      const [queue] = (Properties['EventSourceArn'] as { 'Fn::GetAtt': [string] })['Fn::GetAtt'];
      const { Ref: fn } = Properties['FunctionName'] as { Ref: string };
      const visibility = Number(stack.resources[queue]?.Properties['VisibilityTimeout']);
      expect(visibility).toBeGreaterThanOrEqual(6 * (timeouts.get(fn) ?? Number.NaN));
    }
  });

  it('invokes functions with partial batch responses, and never more of them than it is told', () => {
    for (const { template } of [stack, other])
      template.allResourcesProperties('AWS::Lambda::EventSourceMapping', {
        FunctionResponseTypes: ['ReportBatchItemFailures'],
        ScalingConfig: { MaximumConcurrency: Match.anyValue() },
      });
    other.template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      MaximumBatchingWindowInSeconds: 5,
      ScalingConfig: { MaximumConcurrency: 9 },
    });
  });

  it('encrypts every bucket, queue and disk, and refuses what is not TLS', () => {
    stack.template.allResourcesProperties('AWS::S3::Bucket', { BucketEncryption: Match.anyValue() });
    stack.template.allResourcesProperties('AWS::SQS::Queue', { SqsManagedSseEnabled: true });
    stack.template.allResourcesProperties('AWS::EC2::LaunchTemplate', {
      LaunchTemplateData: { BlockDeviceMappings: [{ Ebs: { Encrypted: true } }] },
    });
    for (const [one, count] of [
      [stack, 14],
      [other, 15],
    ] as const) {
      const secured = ['AWS::S3::BucketPolicy', 'AWS::SQS::QueuePolicy', 'AWS::SNS::TopicPolicy'].flatMap(
        (type) => one.ofType(type),
      );
      expect(secured).toHaveLength(count);
      for (const [, { Properties }] of secured)
        expect(JSON.stringify(Properties['PolicyDocument'])).toContain('"aws:SecureTransport":"false"');
    }
  });

  it('encrypts with a key of the account where there is one, which everybody who needs it may use', () => {
    other.template.allResourcesProperties('AWS::SQS::Queue', { KmsMasterKeyId: customized.keyArn });
    for (const [, { Properties }] of other.ofType('AWS::S3::Bucket'))
      expect(JSON.stringify(Properties['BucketEncryption'])).toContain(customized.keyArn);
    const mayUse = other
      .statements()
      .filter(({ Resource }) => Resource === customized.keyArn)
      .map(({ policy }) => policy)
      .join();
    for (const who of ['Plan', 'Preprocess', 'Ingest', 'Finalize', 'FleetTaskRole', 'Scheduler'])
      expect(mayUse).toContain(who);
  });

  it('makes nothing public', () => {
    for (const { template, ofType, text } of [stack, other].map((one) => ({
      template: one.template,
      ofType: (type: string) => one.ofType(type),
      text: one.text,
    }))) {
      template.allResourcesProperties('AWS::S3::Bucket', {
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
      });
      expect(ofType('AWS::Lambda::Url')).toEqual([]);
      // Nobody can connect to a worker: the one rule that lets something in is that of the endpoints, for the workers.
      for (const [, { Properties }] of ofType('AWS::EC2::SecurityGroup'))
        expect(Properties['SecurityGroupIngress']).toBeUndefined();
      for (const [, { Properties }] of ofType('AWS::EC2::SecurityGroupIngress')) {
        expect(Properties['SourceSecurityGroupId']).toBeDefined();
        expect(Properties['CidrIp'] ?? Properties['CidrIpv6']).toBeUndefined();
      }
      expect(text).not.toMatch(/"Effect":"Allow","Principal":("\*"|\{"AWS":"\*"\})/);
    }
  });

  it('keeps the results when it is deleted', () => {
    const buckets = other.ofType('AWS::S3::Bucket');
    expect(buckets).toHaveLength(2);
    for (const [, bucket] of buckets)
      expect(bucket).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });

  it('lets packs expire after a day and shards after a week', () => {
    stack.template.hasResourceProperties('AWS::S3::Bucket', {
      LifecycleConfiguration: {
        Rules: Match.arrayWith([
          Match.objectLike({ Prefix: 'packs/', ExpirationInDays: 1 }),
          Match.objectLike({ Prefix: 'shards/', ExpirationInDays: 7 }),
        ]),
      },
    });
  });

  it('allows no "*" action, and all resources only for what AWS knows no others', () => {
    const withoutResources = [
      'autoscaling:DescribeAutoScalingGroups',
      'ecr:GetAuthorizationToken',
      'ecs:DiscoverPollEndpoint',
    ];
    for (const { Action, Resource } of [...stack.statements(), ...other.statements()]) {
      for (const action of [Action].flat()) {
        expect(action).not.toBe('*');
        expect(action).not.toMatch(/^(s3|sqs|iam|kms|ec2|autoscaling|lambda):\*$/);
        if ([Resource].flat().includes('*')) expect(withoutResources).toContain(action);
      }
    }
    // A policy of AWS's own would stand in no statement.
    for (const one of [stack, other])
      for (const [id, { Properties }] of one.ofType('AWS::IAM::Role'))
        expect(Properties['ManagedPolicyArns'], id).toBeUndefined();
  });

  it('runs the functions on arm64, with the pipeline in their environment and their logs kept a month', () => {
    stack.template.allResourcesProperties('AWS::Lambda::Function', {
      Architectures: ['arm64'],
      Runtime: 'nodejs24.x',
      Environment: { Variables: { SLUICE_PIPELINE: Match.anyValue() } },
    });
    stack.template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 30 });
    expect(stack.text).toContain('\\"packSize\\":32');
  });

  it('tells of dead letters that were taken away before anybody looked, and of jobs that no function fails by', async () => {
    stack.template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmDescription: Match.stringLikeRegexp('Messages of Shards were given up'),
      Metrics: Match.arrayWith([
        Match.objectLike({ Expression: 'MAX([FILL(waiting, 0), FILL(collected, 0)])' }),
      ]),
    });
    const names = ['plan', 'finalize', 'sqs'].map((name) => `functions/handlers/${name}-handler.ts`);
    const handlers = (await Promise.all(names.map((name) => readFile(name, 'utf8')))).join('');
    const filters = stack.ofType('AWS::Logs::MetricFilter');
    expect(filters).toHaveLength(8);
    for (const [id, { Properties }] of filters) {
      const [, message] = /^\{ \$\.message = "(.+)" \}$/.exec(String(Properties['FilterPattern'])) ?? [];
      // What is counted is what is said.
      expect(handlers, id).toContain(`'${message}'`);
    }
    const alarms = stack.ofType('AWS::CloudWatch::Alarm').map(([id]) => id);
    for (const name of ['BrokenJobs', 'UnfinishedJobs', 'FailedImages', 'NoInstances'])
      expect(alarms.filter((id) => id.includes(name))).toHaveLength(1);
  });

  it('waits for readers of verdicts only where verdicts are sent', async () => {
    const ages = (of: SynthesizedStack): string[] =>
      of.ofType('AWS::CloudWatch::Alarm').flatMap(([id]) => (id.includes('VerdictsOldest') ? [id] : []));
    expect(ages(stack)).toHaveLength(1);
    expect(ages(silent)).toEqual([]);
  });

  it('completes jobs one at a time, and lets no invocation wait for it', () => {
    const [[, finalize] = []] = stack
      .ofType('AWS::Lambda::Function')
      .filter(([, { Properties }]) => Properties['Handler'] === 'functions/finalize.handler');
    expect(finalize?.Properties['ReservedConcurrentExecutions']).toBe(1);
    stack.template.hasResourceProperties('AWS::Lambda::EventInvokeConfig', {
      MaximumEventAgeInSeconds: 60,
      MaximumRetryAttempts: 0,
    });
    expect(silent.text).not.toContain('ReservedConcurrentExecutions');
  });

  it('says where to read on by a URL, where there is one', () => {
    for (const [, { Properties }] of silent.ofType('AWS::CloudWatch::Alarm'))
      expect(Properties['AlarmDescription']).toMatch(/^Scaling|Runbook: https:\/\/example\.com\/runbook#/);
  });

  it('gives each job of a schedule its budget, with the prices of the region', () => {
    const [[, schedule]] = silent.ofType('AWS::Scheduler::Schedule') as [[string, Resource]];
    const { Input } = schedule.Properties['Target'] as { Input: string };
    const { budget } = parseMessage(
      PlanMessage,
      Input.replace('<aws.scheduler.scheduled-time>', '2026-11-20T01:00:00Z'),
    ) as PlanMessage & { type: 'submit' };
    expect(budget).toMatchObject({
      usd: 25,
      assumptions: { region: 'us-east-1' },
      prices: { region: 'us-east-1' },
    });
  });

  it('holds several pipelines, whose costs and metrics are told apart', () => {
    const both = new Stack(new App(), 'Both');
    for (const id of ['One', 'Two']) {
      const bucket = Bucket.fromBucketName(
        new Construct(both, `${id}s`),
        'Photos',
        id.toLowerCase().padEnd(3, 'x'),
      );
      new ImageAudit(both, id, {
        sources: [{ bucket, events: ObjectEvents.EVENT_BRIDGE }],
        ...silent.packages,
      });
    }
    const template = JSON.stringify(Template.fromStack(both).toJSON());
    for (const id of ['One', 'Two']) {
      expect(template).toContain(`{"Key":"sluice:pipeline","Value":"Both/${id}"}`);
      expect(template).toContain(`"MetricNamespace":"Sluice/Both/${id}/Functions/Watch"`);
    }
  });

  it('submits the nightly backfill as the plan function reads it', () => {
    stack.template.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(0 1 * * ? *)',
      ScheduleExpressionTimezone: 'Europe/Berlin',
      FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 15 },
      Target: Match.objectLike({
        Input: Match.stringLikeRegexp('"type":"submit".*<aws.scheduler.scheduled-time>'),
      }),
    });
  });

  it('audits regularly from the last report of an inventory, which planning may read', () => {
    other.template.hasResourceProperties('AWS::Scheduler::Schedule', {
      Target: Match.objectLike({
        Input: Match.stringLikeRegexp(
          '"kind":"inventory","reports":"reports-of-ours","manifest":"inventory/photos-of-ours/daily/"',
        ),
      }),
    });
    const read = other
      .statements()
      .filter(({ Resource }) =>
        JSON.stringify(Resource).includes('reports-of-ours/inventory/photos-of-ours'),
      );
    expect(read.map(({ policy }) => policy).join()).toMatch(/Plan/);
  });

  it('sends new objects of a bucket to the queue of events, by EventBridge or by the bucket itself', () => {
    stack.template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: Match.objectLike({ source: ['aws.s3'], 'detail-type': ['Object Created'] }),
    });
    other.template.hasResourceProperties('Custom::S3BucketNotifications', {
      BucketName: 'photos-of-ours',
      NotificationConfiguration: {
        QueueConfigurations: [Match.objectLike({ Events: ['s3:ObjectCreated:*'] })],
      },
    });
  });

  it('copies what was rejected into a bucket of its own, where that is asked for', () => {
    expect(other.text).toContain('\\"quarantine\\":\\"s3://');
    expect(stack.text).not.toContain('\\"quarantine\\":\\"s3://');
  });

  it('tells of a month that costs more than it should', () => {
    stack.template.hasResourceProperties('AWS::Budgets::Budget', {
      Budget: {
        BudgetLimit: { Amount: 200 },
        CostFilters: { TagKeyValue: ['user:sluice:pipeline$Sluice/Audit'] },
      },
      NotificationsWithSubscribers: Match.arrayWith([
        Match.objectLike({ Notification: Match.objectLike({ NotificationType: 'FORECASTED' }) }),
      ]),
    });
  });

  it('leads from every alarm to the section of the runbook that says what to do', async () => {
    const runbook = await readFile('docs/runbook.md', 'utf8');
    const anchors = [...runbook.matchAll(/^## (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
    for (const [id, { Properties }] of stack.ofType('AWS::CloudWatch::Alarm')) {
      const description = String(Properties['AlarmDescription']);
      if (description.startsWith('Scaling, no fault.')) continue;
      const [, anchor] = /docs\/runbook\.md#([a-z-]+)$/.exec(description) ?? [];
      expect(anchors, `${id}: ${description}`).toContain(anchor);
      expect(Properties['AlarmActions']).toHaveLength(1);
    }
  });

  it('shows the flow on a dashboard, from left to right', () => {
    const text = JSON.stringify(stack.ofType('AWS::CloudWatch::Dashboard'));
    const places = ['1. Found', '2. Decoded', '3. Inferred', '4. Stored'].map((title) => text.indexOf(title));
    expect(places.every((place, i) => place > (places[i - 1] ?? 0))).toBe(true);
  });

  it.each(['the example', 'everything chosen otherwise'])(
    'has no finding of cdk-nag that is not acknowledged with its reason: %s',
    async (name) => {
      await using out = await temporaryFolder();
      const app = new App({ outdir: join(out.path, 'cdk.out') });
      Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
      (name === 'the example' ? stack : other).create(app);
      expect(() => app.synth()).not.toThrow();
    },
  );

  it('is refused with settings that the pipeline does not know', async () => {
    await expect(SynthesizedStack.of({ ...environment, pipeline: { packSize: 0 } })).rejects.toThrow(
      /packSize/,
    );
  });
});
