import { Stack } from 'aws-cdk-lib';
import type { ICluster } from 'aws-cdk-lib/aws-ecs';
import { type IRole, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { acknowledge, acknowledgeWildcard } from './acknowledge.ts';

/**
 * What the ECS agent of an instance may do, in its own cluster. Source: "Amazon ECS container instance IAM role" in the ECS
 * developer guide. The CDK's own statements would let it write to every log of the account as well; logs are written by
 * the role that starts the task (ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE).
 */
export function createInstanceRole(scope: Construct, id: string, cluster: ICluster): IRole {
  const role = new Role(scope, id, { assumedBy: new ServicePrincipal('ec2.amazonaws.com') });
  const ofCluster = [
    'ecs:DeregisterContainerInstance',
    'ecs:RegisterContainerInstance',
    'ecs:SubmitAttachmentStateChanges',
    'ecs:SubmitContainerStateChange',
    'ecs:SubmitTaskStateChange',
  ];
  role.addToPolicy(new PolicyStatement({ actions: ofCluster, resources: [cluster.clusterArn] }));
  const members = Stack.of(scope).formatArn({
    service: 'ecs',
    resource: 'container-instance',
    resourceName: `${cluster.clusterName}/*`,
  });
  acknowledgeWildcard(role, members, 'Instances get their ids as they come; the cluster is named.');
  // The last by which it drains an instance that Spot takes.
  const ofMember = ['ecs:Poll', 'ecs:StartTelemetrySession', 'ecs:UpdateContainerInstancesState'];
  role.addToPolicy(new PolicyStatement({ actions: ofMember, resources: [members] }));
  acknowledge(role, 'IAM5[Resource::*]', 'ecs:DiscoverPollEndpoint takes no resource.');
  role.addToPolicy(new PolicyStatement({ actions: ['ecs:DiscoverPollEndpoint'], resources: ['*'] }));
  return role.withoutPolicyUpdates();
}
