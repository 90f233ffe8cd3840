import { queueArn } from './permissions-of-request.ts';
import type { Resource, Statement, SynthesizedStack } from './synthesized-stack.ts';

export const ACCOUNT = '000000000000';
export const REGION = 'us-east-1';

type Intrinsic = Readonly<Record<string, unknown>>;

/**
 * A template as it would be once it is deployed, where the pipeline's buckets and queues have the names of a local one
 * (`test-work`, `test-shards`, …): what CloudFormation does with `Ref` and its like.
 */
export class DeployedNames {
  readonly #stack: SynthesizedStack;
  readonly #queues: string;

  /** @param queues what the URLs of queues begin with. */
  constructor(stack: SynthesizedStack, queues = `http://127.0.0.1:1/${ACCOUNT}/`) {
    this.#stack = stack;
    this.#queues = queues;
  }

  /** What SLUICE_PIPELINE is of the workers' container: the whole description. */
  pipeline(): Record<string, unknown> {
    const task = this.#stack.resources[this.idOf('AWS::ECS::TaskDefinition', 'Task')] as Resource;
    const [container] = task.Properties['ContainerDefinitions'] as [{ Environment: Variable[] }];
    const variable = container.Environment.find(({ Name }) => Name === 'SLUICE_PIPELINE');
    return JSON.parse(String(this.resolve(variable?.Value))) as Record<string, unknown>;
  }

  /** All that a role is allowed, by its logical id. A policy of AWS's own is written out where a test knows it. */
  statementsOf(role: string): Statement[] {
    const managed = this.resolve(this.#stack.resources[role]?.Properties['ManagedPolicyArns'] ?? []);
    const attached = this.#stack
      .ofType('AWS::IAM::Policy')
      .filter(([, { Properties }]) => JSON.stringify(Properties['Roles']).includes(`{"Ref":"${role}"}`));
    return [
      ...(managed as string[]).map((arn) => managedStatement(arn)),
      ...attached.flatMap(([, { Properties }]) => this.#statements(Properties['PolicyDocument'])),
    ];
  }

  /** Of the policy of a queue or bucket. */
  statementsOn(resource: string): Statement[] {
    return ['AWS::SQS::QueuePolicy', 'AWS::S3::BucketPolicy']
      .flatMap((type) => this.#stack.ofType(type))
      .filter(([, { Properties }]) =>
        JSON.stringify(Properties['Queues'] ?? Properties['Bucket']).includes(`{"Ref":"${resource}"}`),
      )
      .flatMap(([, { Properties }]) => this.#statements(Properties['PolicyDocument']));
  }

  /** The logical id of the one resource of a type whose id holds this. */
  idOf(type: string, part: string): string {
    const found = this.#stack.ofType(type).filter(([id]) => id.includes(part));
    if (found.length !== 1) throw new Error(`${found.length} resources ${type} are called "…${part}…"`);
    return (found[0] as [string, unknown])[0];
  }

  resolve(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((one) => this.resolve(one));
    if (typeof value !== 'object' || value === null) return value;
    const [[name, argument] = ['', undefined], ...more] = Object.entries(value as Intrinsic);
    if (more.length === 0) {
      if (name === 'Ref') return this.#ref(String(argument));
      if (name === 'Fn::GetAtt') return this.#attribute(...(argument as [string, string]));
      if (name === 'Fn::Join') {
        const [separator, pieces] = argument as [string, unknown[]];
        return pieces.map((piece) => this.resolve(piece)).join(separator);
      }
      if (name === 'Fn::Sub')
        return String(argument).replace(/\$\{([^}]+)\}/g, (_, id: string) => this.#ref(id));
      if (name.startsWith('Fn::')) throw new Error(`${name} is not understood`);
    }
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, this.resolve(one)]));
  }

  #statements(document: unknown): Statement[] {
    return (this.resolve(document) as { Statement: Statement[] }).Statement;
  }

  #ref(id: string): string {
    if (id === 'AWS::Partition') return 'aws';
    if (id === 'AWS::Region') return REGION;
    if (id === 'AWS::AccountId') return ACCOUNT;
    const type = this.#stack.resources[id]?.Type;
    return type === 'AWS::SQS::Queue' ? `${this.#queues}${nameOf(id)}` : nameOf(id);
  }

  #attribute(id: string, attribute: string): string {
    if (attribute === 'QueueName') return nameOf(id);
    if (attribute !== 'Arn') throw new Error(`${id}.${attribute} is not understood`);
    switch (this.#stack.resources[id]?.Type) {
      case 'AWS::S3::Bucket':
        return `arn:aws:s3:::${nameOf(id)}`;
      case 'AWS::SQS::Queue':
        return queueArn(nameOf(id));
      case 'AWS::Logs::LogGroup':
        return `arn:aws:logs:${REGION}:${ACCOUNT}:log-group:${id}:*`;
      default:
        return `arn:aws:any:${REGION}:${ACCOUNT}:${id}`;
    }
  }
}

interface Variable {
  readonly Name: string;
  readonly Value: unknown;
}

/** The name that a bucket, queue or group has in a local pipeline; anything else is called by its id. */
function nameOf(id: string): string {
  const [, queue, dead] = /Queues(Jobs|Shards|Events|Live|Bulk|Verdicts)(Dead)?[0-9A-F]{8}$/.exec(id) ?? [];
  if (queue !== undefined) return `test-${queue.toLowerCase()}${dead === undefined ? '' : '-dead'}`;
  if (/StorageWork[0-9A-F]{8}$/.test(id)) return 'test-work';
  if (/StorageQuarantine[0-9A-F]{8}$/.test(id)) return 'test-quarantine';
  return id;
}

/** Source: the AWS managed policy reference. */
function managedStatement(arn: string): Statement {
  if (arn.endsWith(':policy/service-role/AWSLambdaBasicExecutionRole')) {
    const Action = ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'];
    return { Effect: 'Allow', Action, Resource: '*' };
  }
  throw new Error(`what ${arn} allows is not known here`);
}
