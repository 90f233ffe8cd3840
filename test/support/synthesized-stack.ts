import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { type AuditPackages, AuditStack } from '#infra/audit-stack.ts';
import { Environment } from '#infra/environment.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, unknown>;
  readonly DeletionPolicy?: string;
}

export interface Statement {
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource?: unknown;
  readonly Condition?: Record<string, Record<string, string | string[]>>;
  /** Of a resource's policy. */
  readonly Principal?: '*' | { readonly AWS?: string; readonly Service?: string | string[] };
}

/** An environment's stack as a template, made of packages that are folders of one file. */
export class SynthesizedStack implements AsyncDisposable {
  readonly environment: Environment;
  readonly packages: AuditPackages;
  readonly template: Template;
  readonly resources: Readonly<Record<string, Resource>>;
  readonly text: string;
  readonly #folder: AsyncDisposable & { readonly path: string };

  private constructor(
    folder: AsyncDisposable & { readonly path: string },
    environment: Environment,
    packages: AuditPackages,
  ) {
    this.#folder = folder;
    this.environment = environment;
    this.packages = packages;
    this.template = Template.fromStack(this.create(new App({ outdir: this.#outFolder })));
    const json = this.template.toJSON() as { Resources: Record<string, Resource> };
    this.resources = json.Resources;
    this.text = JSON.stringify(json);
  }

  /** @param given the packages, instead of such folders. */
  static async of(environment: unknown, given?: AuditPackages): Promise<SynthesizedStack> {
    const folder = await temporaryFolder();
    if (given !== undefined) return new SynthesizedStack(folder, Environment.parse(environment), given);
    const packages = { functionCode: join(folder.path, 'code'), decoderLayer: join(folder.path, 'layer') };
    for (const path of Object.values(packages)) {
      await mkdir(path);
      await writeFile(join(path, 'file'), path.slice(folder.path.length));
    }
    return new SynthesizedStack(folder, Environment.parse(environment), packages);
  }

  create(app: App): AuditStack {
    return new AuditStack(app, this.environment, this.packages);
  }

  get #outFolder(): string {
    return join(this.#folder.path, 'cdk.out');
  }

  /** The folder that would be uploaded as this. */
  asset({ S3Key }: { readonly S3Key: string }): string {
    return join(this.#outFolder, `asset.${S3Key.replace(/\.zip$/, '')}`);
  }

  /** Logical ids and resources. */
  ofType(type: string): [string, Resource][] {
    return Object.entries(this.resources).filter(([, resource]) => resource.Type === type);
  }

  /** All statements of policies that roles have, with the policy's id. */
  statements(): (Statement & { readonly policy: string })[] {
    return this.ofType('AWS::IAM::Policy').flatMap(([policy, { Properties }]) => {
      const { Statement } = Properties['PolicyDocument'] as { Statement: Statement[] };
      return Statement.map((statement) => ({ ...statement, policy }));
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#folder[Symbol.asyncDispose]());
  }
}
