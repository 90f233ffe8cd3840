import { fileURLToPath } from 'node:url';
import { IgnoreMode, Stack } from 'aws-cdk-lib';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerImage } from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** An image in an ECR repository: account, region, name, and a tag or a digest. */
const ECR_IMAGE =
  /^(?<account>\d{12})\.dkr\.ecr\.(?<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?\/(?<name>[^:@]+)(?:[:@](?<tag>.+))?$/;

/** Whether an image lies in a registry that private subnets lead to. */
export function isInEcr(uri: string): boolean {
  return ECR_IMAGE.test(uri);
}

/** Where the workers' image comes from. */
export type WorkerImage =
  | {
      /** An image that lies in a registry: `<account>.dkr.ecr.<region>.amazonaws.com/<name>:<tag>`, or any other. */
      readonly uri: string;
    }
  | {
      /** A Dockerfile of this repository. `cdk deploy` builds it, and needs Docker for it; synth does not. */
      readonly dockerfile: string;
    };

/** Makes a task's image of it. Roles may pull from an ECR repository only if it is known as one. */
export function containerImage(scope: Construct, image: WorkerImage): ContainerImage {
  if ('dockerfile' in image) {
    return ContainerImage.fromAsset(ROOT, {
      file: image.dockerfile,
      // GPU instances and ONNX Runtime's GPU providers are x86-64, whatever machine deploys.
      platform: Platform.LINUX_AMD64,
      ignoreMode: IgnoreMode.DOCKER,
    });
  }
  const found = ECR_IMAGE.exec(image.uri)?.groups;
  if (found === undefined) return ContainerImage.fromRegistry(image.uri);
  const {
    account,
    region,
    name,
    tag = 'latest',
  } = found as { account: string; region: string; name: string; tag?: string };
  const repositoryArn = Stack.of(scope).formatArn({
    service: 'ecr',
    account,
    region,
    resource: 'repository',
    resourceName: name,
  });
  const repository = Repository.fromRepositoryAttributes(new Construct(scope, 'Image'), 'Repository', {
    repositoryArn,
    repositoryName: name,
  });
  return ContainerImage.fromEcrRepository(repository, tag);
}
