import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeployedNames } from '#test/support/deployed-names.ts';
import { isAllowed } from '#test/support/iam-policy.ts';
import { SynthesizedStack } from '#test/support/synthesized-stack.ts';

const environment = {
  name: 'Sluice',
  sources: [
    {
      bucket: 'photos-of-ours',
      events: 'event-bridge',
      backfills: [{ name: 'nightly', schedule: 'cron(0 1 * * ? *)' }],
    },
  ],
  pipeline: { actions: [{ on: ['reject'], tag: true, send: true }] },
  fleet: { image: { dockerfile: 'workers/Dockerfile' } },
};

/** Under which prefixes of the work bucket, and on which queues, each role may do what; and nothing else. */
const TABLES = {
  FunctionsPlan: {
    's3:GetObject': ['dead', 'jobs', 'latest', 'parts', 'results/audit', 'shards'],
    's3:PutObject': ['jobs', 'open', 'shards'],
    's3:DeleteObject': ['jobs', 'open'],
    'sqs:ReceiveMessage': ['jobs'],
    'sqs:SendMessage': ['jobs', 'jobs-dead', 'shards'],
    'sqs:GetQueueUrl': ['jobs', 'jobs-dead', 'shards', 'shards-dead'],
    'autoscaling:SetDesiredCapacity': ['the fleet'],
  },
  FunctionsPreprocess: {
    's3:GetObject': ['jobs', 'packs', 'parts', 'shards'],
    's3:PutObject': ['packs'],
    's3:DeleteObject': ['packs'],
    'sqs:ReceiveMessage': ['shards'],
    'sqs:SendMessage': ['bulk', 'shards', 'shards-dead'],
    'sqs:GetQueueUrl': ['bulk', 'bulk-dead', 'shards', 'shards-dead'],
  },
  FunctionsIngest: {
    's3:GetObject': ['packs', 'parts'],
    's3:PutObject': ['packs'],
    'sqs:ReceiveMessage': ['events'],
    'sqs:SendMessage': ['events-dead', 'live'],
    'sqs:GetQueueUrl': ['events', 'events-dead', 'live', 'live-dead'],
    'autoscaling:SetDesiredCapacity': ['the fleet'],
  },
  FunctionsFinalize: {
    's3:GetObject': ['dead', 'jobs', 'latest', 'parts', 'results', 'shards', 'workers'],
    's3:PutObject': ['dead', 'jobs', 'latest', 'results', 'shards/*/pixels'],
    's3:DeleteObject': ['jobs/*/finalizing.json', 'open', 'workers'],
    's3:AbortMultipartUpload': ['results'],
    'sqs:ReceiveMessage': ['bulk-dead', 'events-dead', 'jobs-dead', 'live-dead', 'shards-dead'],
    'sqs:GetQueueUrl': ['bulk-dead', 'events-dead', 'jobs-dead', 'live-dead', 'shards-dead'],
  },
  FleetTaskRole: {
    's3:GetObject': ['engines', 'jobs', 'packs', 'parts'],
    's3:PutObject': ['engines', 'parts', 'quarantine', 'workers'],
    's3:DeleteObject': ['engines', 'packs', 'workers'],
    's3:AbortMultipartUpload': ['engines'],
    'sqs:ReceiveMessage': ['bulk', 'live'],
    'sqs:SendMessage': ['bulk-dead', 'events', 'live-dead', 'shards', 'verdicts'],
    'sqs:GetQueueUrl': [
      ...['bulk', 'bulk-dead', 'events', 'events-dead', 'live', 'live-dead'],
      ...['shards', 'shards-dead', 'verdicts', 'verdicts-dead'],
    ],
    'autoscaling:SetInstanceProtection': ['the fleet'],
  },
} as const;

/** What goes with others: whoever receives also deletes and hides, whoever opens a queue looks at it. */
const COMPANIONS = [
  's3:ListBucket',
  'sqs:DeleteMessage',
  'sqs:ChangeMessageVisibility',
  'sqs:GetQueueAttributes',
  'autoscaling:DescribeAutoScalingGroups',
];

/** Actions of a role with what they are allowed on, short. */
function tableOf(names: DeployedNames, role: string): Record<string, string[]> {
  const table = new Map<string, Set<string>>();
  for (const { Action, Resource } of names.statementsOf(role))
    for (const action of [Action].flat())
      for (const resource of [Resource].flat().map(String)) {
        const [, prefix] = /^arn:aws:s3:::test-work\/(.*?)(?:\/\*)?$/.exec(resource) ?? [];
        const [, queue] = /^arn:aws:sqs:.*:test-(.*)$/.exec(resource) ?? [];
        const group = resource.includes(':autoScalingGroup:') ? 'the fleet' : undefined;
        const short = prefix ?? queue ?? group;
        if (short === undefined || COMPANIONS.includes(action)) continue;
        table.set(action, (table.get(action) ?? new Set()).add(short));
      }
  return Object.fromEntries([...table].map(([action, set]) => [action, [...set].sort()]));
}

describe('the permissions of the stack', () => {
  let stack: SynthesizedStack;
  let names: DeployedNames;
  beforeAll(async () => {
    stack = await SynthesizedStack.of(environment);
    names = new DeployedNames(stack);
  }, 180_000);
  afterAll(() => stack[Symbol.asyncDispose]());

  it.each(Object.entries(TABLES))('of %s are these, each on as little as it needs', (role, table) => {
    expect(tableOf(names, names.idOf('AWS::IAM::Role', role))).toEqual(table);
  });

  it('let everybody read the images and nobody write them, but for the tags of verdicts', () => {
    const written = Object.keys(TABLES).flatMap((role) =>
      names
        .statementsOf(names.idOf('AWS::IAM::Role', role))
        .filter(({ Resource }) => [Resource].flat().some((one) => String(one).includes('photos-of-ours')))
        .flatMap(({ Action }) => Action),
    );
    expect([...new Set(written)].sort()).toEqual([
      's3:GetObject',
      's3:GetObjectTagging',
      's3:ListBucket',
      's3:PutObjectTagging',
    ]);
  });

  it('let each function write to its own log and to no other', () => {
    for (const name of ['Plan', 'Preprocess', 'Ingest', 'Finalize']) {
      const statements = names.statementsOf(names.idOf('AWS::IAM::Role', `Functions${name}`));
      for (const [log] of stack.ofType('AWS::Logs::LogGroup'))
        for (const action of ['logs:CreateLogStream', 'logs:PutLogEvents']) {
          const resource = `arn:aws:logs:us-east-1:000000000000:log-group:${log}:log-stream:one`;
          const isOwn = log.includes(`Functions${name.toLowerCase()}Logs`);
          expect(isAllowed(statements, { action, resource }), `${name} on ${log}`).toBe(isOwn);
        }
    }
  });

  it('let the schedule submit jobs, and tell of one that it could not submit', () => {
    const statements = names.statementsOf(names.idOf('AWS::IAM::Role', 'Scheduler'));
    for (const queue of ['test-jobs', 'test-jobs-dead']) {
      const resource = `arn:aws:sqs:us-east-1:000000000000:${queue}`;
      expect(isAllowed(statements, { action: 'sqs:SendMessage', resource })).toBe(true);
    }
  });

  it("let the rule for a bucket's new objects send to the queue of events and its dead letters, and no other rule", () => {
    const rule = names.resolve({ 'Fn::GetAtt': [names.idOf('AWS::Events::Rule', 'FunctionsNew'), 'Arn'] });
    const request = { action: 'sqs:SendMessage', service: 'events.amazonaws.com' };
    for (const queue of ['QueuesEvents', 'QueuesEventsDead']) {
      const [id] = stack
        .ofType('AWS::SQS::Queue')
        .find(([one]) => new RegExp(`${queue}[0-9A-F]{8}$`).test(one)) ?? [''];
      const resource = String(names.resolve({ 'Fn::GetAtt': [id, 'Arn'] }));
      const by = (arn: string): boolean =>
        isAllowed(names.statementsOn(id), { ...request, resource, context: { 'aws:SourceArn': arn } });
      expect(by(String(rule))).toBe(true);
      expect(by('arn:aws:events:us-east-1:000000000000:rule/another')).toBe(false);
    }
  });
});
