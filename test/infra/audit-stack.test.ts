import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { App, Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditStack } from '#infra/audit-stack.ts';
import { Environment } from '#infra/environment.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, unknown>;
  readonly DeletionPolicy?: string;
}

const environment = Environment.parse({
  name: 'Sluice',
  sources: [
    {
      bucket: 'photos-of-ours',
      live: true,
      backfills: [
        { name: 'nightly', prefix: '2026/', schedule: 'cron(0 1 * * ? *)', timeZone: 'Europe/Berlin' },
      ],
    },
  ],
  pipeline: { packSize: 32 },
  alarmEmail: 'somebody@example.com',
});

describe('the stack', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let template: Template;
  let resources: Record<string, Resource>;
  let text: string;

  const synthesize = (): Template => {
    const packages = { functionCode: join(folder.path, 'code'), decoderLayer: join(folder.path, 'layer') };
    return Template.fromStack(new AuditStack(new App(), environment, packages));
  };
  const ofType = (type: string): [string, Resource][] =>
    Object.entries(resources).filter(([, resource]) => resource.Type === type);

  beforeAll(async () => {
    folder = await temporaryFolder();
    for (const name of ['code', 'layer']) {
      await mkdir(join(folder.path, name));
      await writeFile(join(folder.path, name, 'file'), name);
    }
    template = synthesize();
    resources = template.toJSON()['Resources'] as Record<string, Resource>;
    text = JSON.stringify(template.toJSON());
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  it('is the same when it is made again', () => {
    expect(synthesize().toJSON()).toEqual(template.toJSON());
  });

  it('gives every queue a dead-letter queue, and an alarm on it', () => {
    const queues = ofType('AWS::SQS::Queue');
    const dead = new Set<string>();
    for (const [, { Properties }] of queues) {
      const policy = Properties['RedrivePolicy'] as
        | { deadLetterTargetArn: { 'Fn::GetAtt': [string] } }
        | undefined;
      if (policy !== undefined) dead.add(policy.deadLetterTargetArn['Fn::GetAtt'][0]);
    }
    expect(dead.size).toBe(6);
    expect(queues).toHaveLength(12);
    const alarms = JSON.stringify(
      ofType('AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties['Dimensions']),
    );
    for (const [id] of queues) if (dead.has(id)) expect(alarms).toContain(id);
  });

  it('keeps messages invisible for at least six times as long as their function may take', () => {
    const timeouts = new Map(
      ofType('AWS::Lambda::Function').map(([id, { Properties }]) => [id, Number(Properties['Timeout'])]),
    );
    const mappings = ofType('AWS::Lambda::EventSourceMapping');
    expect(mappings).toHaveLength(3);
    for (const [, { Properties }] of mappings) {
      const [queue] = (Properties['EventSourceArn'] as { 'Fn::GetAtt': [string] })['Fn::GetAtt'];
      const { Ref: fn } = Properties['FunctionName'] as { Ref: string };
      const visibility = Number(resources[queue]?.Properties['VisibilityTimeout']);
      expect(visibility).toBeGreaterThanOrEqual(6 * (timeouts.get(fn) ?? Number.NaN));
      expect(Properties['FunctionResponseTypes']).toEqual(['ReportBatchItemFailures']);
    }
  });

  it('encrypts every bucket, queue and topic, and refuses what is not TLS', () => {
    template.allResourcesProperties('AWS::S3::Bucket', { BucketEncryption: Match.anyValue() });
    template.allResourcesProperties('AWS::SQS::Queue', { SqsManagedSseEnabled: true });
    const secured = [...ofType('AWS::S3::BucketPolicy'), ...ofType('AWS::SQS::QueuePolicy')];
    expect(secured).toHaveLength(13);
    for (const [, { Properties }] of secured) {
      expect(JSON.stringify(Properties['PolicyDocument'])).toContain('"aws:SecureTransport":"false"');
    }
  });

  it('makes nothing public', () => {
    template.allResourcesProperties('AWS::S3::Bucket', {
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
    });
    expect(ofType('AWS::Lambda::Url')).toEqual([]);
  });

  it('keeps the results when it is deleted', () => {
    for (const [, { DeletionPolicy }] of ofType('AWS::S3::Bucket')) expect(DeletionPolicy).toBe('Retain');
  });

  it('allows no "*" action, and no resource but its own and the sources', () => {
    for (const [, { Properties }] of ofType('AWS::IAM::Policy')) {
      const { Statement } = Properties['PolicyDocument'] as {
        Statement: { Action: unknown; Resource: unknown }[];
      };
      for (const { Action, Resource } of Statement) {
        expect([Action].flat()).not.toContain('*');
        expect([Resource].flat()).not.toContain('*');
      }
    }
    expect(text).not.toMatch(/"Action":"(s3|sqs|iam|kms):\*"[^}]*"Effect":"Allow"/);
  });

  it('runs the functions on arm64, with the pipeline in their environment and their logs kept a month', () => {
    template.allResourcesProperties('AWS::Lambda::Function', {
      Architectures: ['arm64'],
      Runtime: 'nodejs24.x',
      Environment: { Variables: { SLUICE_PIPELINE: Match.anyValue() } },
    });
    template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 30 });
    expect(text).toContain('\\"packSize\\":32');
  });

  it('submits the nightly backfill as the plan function reads it', () => {
    template.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(0 1 * * ? *)',
      ScheduleExpressionTimezone: 'Europe/Berlin',
      FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 15 },
      Target: Match.objectLike({
        Input: Match.stringLikeRegexp('"type":"submit".*<aws.scheduler.scheduled-time>'),
      }),
    });
  });

  it('sends new objects of a live bucket to the queue of events', () => {
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: Match.objectLike({ source: ['aws.s3'], 'detail-type': ['Object Created'] }),
    });
  });

  it('has no finding of cdk-nag that is not acknowledged with its reason', async () => {
    const packages = { functionCode: join(folder.path, 'code'), decoderLayer: join(folder.path, 'layer') };
    const app = new App({ outdir: join(folder.path, 'cdk.out') });
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    new AuditStack(app, environment, packages);
    expect(() => app.synth()).not.toThrow();
  });

  it('is refused with settings that the pipeline does not know', () => {
    const wrong = { ...environment, pipeline: { packSize: 0 } };
    const packages = { functionCode: folder.path, decoderLayer: folder.path };
    expect(() => new AuditStack(new App(), wrong, packages)).toThrow(/packSize/);
  });
});
