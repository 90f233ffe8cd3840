import type { Statement } from './synthesized-stack.ts';

/** One permission that somebody asks for, as AWS decides on it. */
export interface PermissionRequest {
  readonly action: string;
  readonly resource: string;
  /** Context keys such as `aws:SourceArn`; all requests here come by TLS. */
  readonly context?: Readonly<Record<string, string>>;
  /** Of a resource's policy: the service that asks, such as `events.amazonaws.com`. */
  readonly service?: string;
}

/**
 * Whether these statements allow a request: one allows it and none denies it. Source: "Policy evaluation logic" in the
 * IAM user guide.
 *
 * @throws Error for a form of statement that it does not know: nothing is allowed by guessing.
 */
export function isAllowed(statements: readonly Statement[], request: PermissionRequest): boolean {
  const concerned = statements.filter((statement) => applies(statement, request));
  return (
    concerned.some(({ Effect }) => Effect === 'Allow') && !concerned.some(({ Effect }) => Effect === 'Deny')
  );
}

const KNOWN_MEMBERS = ['Sid', 'Effect', 'Action', 'Resource', 'Condition', 'Principal', 'policy'];

function applies(statement: Statement, request: PermissionRequest): boolean {
  const unknown = Object.keys(statement).filter((name) => !KNOWN_MEMBERS.includes(name));
  if (unknown.length > 0) throw new Error(`a statement with ${unknown.join(', ')} is not understood`);
  const { Action, Resource, Condition = {}, Principal } = statement;
  return (
    // Names of actions have no case; ARNs do.
    [Action].flat().some((pattern) => matches(pattern.toLowerCase(), request.action.toLowerCase())) &&
    [Resource].flat().some((pattern) => matches(String(pattern), request.resource)) &&
    (Principal === undefined || isMeant(Principal, request)) &&
    Object.entries(Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, wanted]) => holds(operator, wanted, contextOf(request)[key])),
    )
  );
}

function isMeant(principal: NonNullable<Statement['Principal']>, { service }: PermissionRequest): boolean {
  if (principal === '*' || principal.AWS === '*') return true;
  return service !== undefined && [principal.Service].flat().includes(service);
}

function contextOf({ context }: PermissionRequest): Readonly<Record<string, string>> {
  return { 'aws:SecureTransport': 'true', ...context };
}

function holds(operator: string, wanted: string | readonly string[], actual: string | undefined): boolean {
  if (actual === undefined) return false;
  switch (operator) {
    case 'Bool':
    case 'StringEquals':
      return [wanted].flat().includes(actual);
    case 'ArnEquals':
    case 'ArnLike':
    case 'StringLike':
      return [wanted].flat().some((pattern) => matches(pattern, actual));
    default:
      throw new Error(`the condition ${operator} is not understood`);
  }
}

function matches(pattern: string, text: string): boolean {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(text);
}
