import type { SeenRequest } from '#local-aws/server.ts';
import { ACCOUNT, DeployedNames, REGION } from './deployed-names.ts';
import { FakeAutoScaling } from './fake-auto-scaling.ts';
import { FakeInstanceMetadata } from './fake-instance-metadata.ts';
import { isAllowed, type PermissionRequest } from './iam-policy.ts';
import { keyActionsOf, permissionsOf } from './permissions-of-request.ts';
import { RunningPipeline } from './running-pipeline.ts';
import type { SynthesizedStack } from './synthesized-stack.ts';

/** Each function as a process of its own, which says in its user agent who it is; beside it, the workers. */
const ROLES = ['plan', 'preprocess', 'ingest', 'finalize', 'worker'] as const;
export type RoleName = (typeof ROLES)[number];

type Asked = Map<string, PermissionRequest & { readonly role: RoleName }>;

/** A pipeline that is configured as a stack says, and keeps account of what each role asks of AWS. */
export class WatchedPipeline implements AsyncDisposable {
  readonly stack: SynthesizedStack;
  readonly running: RunningPipeline;
  readonly #asked: Asked;
  /** The name of the workers' auto scaling group. */
  readonly #group: string;
  readonly #metadata: FakeInstanceMetadata;
  readonly #scaling: FakeAutoScaling;

  private constructor(
    stack: SynthesizedStack,
    running: RunningPipeline,
    asked: Asked,
    metadata: FakeInstanceMetadata,
    scaling: FakeAutoScaling,
  ) {
    this.stack = stack;
    this.running = running;
    this.#asked = asked;
    this.#group = running.pipeline.config.fleet?.autoScalingGroup ?? '';
    this.#metadata = metadata;
    this.#scaling = scaling;
  }

  static async start(stack: SynthesizedStack): Promise<WatchedPipeline> {
    const asked: Asked = new Map();
    const seen = (request: SeenRequest): void => {
      const role = roleOf(request.userAgent);
      if (role === undefined) return;
      for (const permission of permissionsOf(request))
        asked.set(`${role} ${permission.action} ${permission.resource}`, { ...permission, role });
    };
    const { work: _work, queues: _queues, fleet, ...config } = new DeployedNames(stack).pipeline();
    const { autoScalingGroup } = fleet as { autoScalingGroup: string };
    const metadata = await FakeInstanceMetadata.start();
    metadata.answers.set('instance-id', 'i-0123456789abcdef0');
    const scaling = await FakeAutoScaling.start(autoScalingGroup);
    const worker = { ...(config['worker'] as object), providers: ['cpu'] };
    const running = await RunningPipeline.start({ config: { ...config, fleet, worker }, aws: { seen } });
    for (const bucket of ['test-quarantine', 'test-reports']) running.aws.createBucket(bucket);
    return new WatchedPipeline(stack, running, asked, metadata, scaling);
  }

  startFunctions(): void {
    for (const role of ROLES) {
      if (role === 'worker') continue;
      const flags = ['--processes', '1', '--finalize-every-ms', '300', '--budget-every-ms', '1000'];
      this.running.startProcess('local-aws/function-host.ts', [role, ...flags], this.#envOf(role));
    }
  }

  startWorker(): void {
    this.running.startWorker(this.#envOf('worker'));
  }

  /** What was asked for and would have been refused. */
  refused(): string[] {
    const names = new DeployedNames(this.stack);
    const refused = this.#all().flatMap((request) => {
      const statements = names.statementsOf(iamRole(names, request.role));
      const { role, ...permission } = request;
      return [permission, ...keyRequests(this.stack, permission)]
        .filter((one) => !isAllowed(statements, one))
        .map(({ action, resource }) => `${role}: ${action} on ${resource}`);
    });
    return [...new Set(refused)].sort();
  }

  /** The actions that a role has asked for. */
  asked(role: RoleName): Set<string> {
    return new Set(
      this.#all()
        .filter((one) => one.role === role)
        .map(({ action }) => action),
    );
  }

  #all(): (PermissionRequest & { readonly role: RoleName })[] {
    const group = `arn:aws:autoscaling:${REGION}:${ACCOUNT}:autoScalingGroup:0a1b2c3d:autoScalingGroupName/${this.#group}`;
    const ofGroup = this.#scaling.requests.flatMap((action, i) => {
      const role = roleOf(this.#scaling.userAgents[i] as string);
      const resource = action.startsWith('Describe') ? '*' : group;
      return role === undefined ? [] : [{ action: `autoscaling:${action}`, resource, role }];
    });
    return [...this.#asked.values(), ...ofGroup];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.running[Symbol.asyncDispose]();
    await this.#metadata[Symbol.asyncDispose]();
    await this.#scaling[Symbol.asyncDispose]();
  }

  #envOf(role: RoleName): NodeJS.ProcessEnv {
    return {
      AWS_EC2_METADATA_SERVICE_ENDPOINT: this.#metadata.endpoint,
      AWS_ENDPOINT_URL_AUTO_SCALING: this.#scaling.endpoint,
      AWS_SDK_UA_APP_ID: role,
    };
  }
}

function roleOf(userAgent: string): RoleName | undefined {
  return ROLES.find((role) => userAgent.includes(`app/${role}`));
}

function iamRole(names: DeployedNames, role: RoleName): string {
  if (role === 'worker') return names.idOf('AWS::IAM::Role', 'TaskRole');
  return names.idOf('AWS::IAM::Role', `Functions${role.charAt(0).toUpperCase()}${role.slice(1)}`);
}

/** What is asked of KMS with it: sources may have keys of their own, all else has the pipeline's. */
function keyRequests({ environment }: SynthesizedStack, request: PermissionRequest): PermissionRequest[] {
  const bucket = /^arn:aws:s3:::([^/]+)/.exec(request.resource)?.[1];
  const source = environment.sources.find((one) => one.bucket === bucket);
  const key = source === undefined ? environment.keyArn : source.keyArn;
  return key === undefined ? [] : keyActionsOf(request).map((action) => ({ action, resource: key }));
}
