import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Accepts a finding of cdk-nag, with the reason for it. */
export function acknowledge(construct: IConstruct, rule: string, reason: string): void {
  Validations.of(construct).acknowledge({ id: `AwsSolutions::AwsSolutions-${rule}`, reason });
}

/** Accepts a wildcard in a resource. cdk-nag names it by the resource, with tokens in angle brackets. */
export function acknowledgeWildcard(construct: IConstruct, resource: string, reason: string): void {
  acknowledge(construct, `IAM5[Resource::${nameOf(Stack.of(construct).resolve(resource))}]`, reason);
}

type Joined = { readonly 'Fn::Join': readonly [string, readonly (string | Token)[]] };
type Token = { readonly Ref?: string; readonly 'Fn::GetAtt'?: readonly [string, string] };

function nameOf(resolved: string | Joined): string {
  if (typeof resolved === 'string') return resolved;
  return resolved['Fn::Join'][1]
    .map((piece) => {
      if (typeof piece === 'string') return piece;
      const [id, attribute] = piece['Fn::GetAtt'] ?? [];
      return id === undefined ? `<${String(piece.Ref)}>` : `<${id}.${attribute}>`;
    })
    .join('');
}
