import { ArnFormat, Stack } from 'aws-cdk-lib';
import { type IRole, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { acknowledgeWildcard } from './acknowledge.ts';

/**
 * The role of the CDK's own function that sets the notifications of buckets. The CDK would let it write to every log of the
 * account.
 */
export function createNotifierRole(scope: Construct, id: string, buckets: readonly string[]): IRole {
  const stack = Stack.of(scope);
  const role = new Role(scope, id, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
  const logs = stack.formatArn({
    service: 'logs',
    resource: 'log-group',
    resourceName: `/aws/lambda/${stack.stackName}-BucketNotificationsHandler*`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  acknowledgeWildcard(
    role,
    logs,
    'The end of its name, and its streams, are named by CloudFormation and Lambda.',
  );
  role.addToPolicy(
    new PolicyStatement({
      actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [logs],
    }),
  );
  role.addToPolicy(
    new PolicyStatement({
      actions: ['s3:GetBucketNotification', 's3:PutBucketNotification'],
      resources: buckets.map((bucket) =>
        stack.formatArn({ service: 's3', account: '', region: '', resource: bucket }),
      ),
    }),
  );
  return role.withoutPolicyUpdates();
}
