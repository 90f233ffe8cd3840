import { SluiceError, type SluiceErrorCode } from '#core/error.ts';

/** What was asked of which resource, and the permission that it takes. */
export interface AwsCall {
  /** The resource as a person would name it: `s3://bucket/key`, or a queue's URL. */
  readonly resource: string;
  /** The IAM action, e.g. `s3:GetObject`. */
  readonly action: string;
}

interface Shape {
  readonly name?: string;
  readonly Code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

/** Names under which AWS says that it does not know who is calling. */
const CREDENTIAL_ERRORS: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'TokenRefreshRequired',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidToken',
  'UnrecognizedClientException',
  'SignatureDoesNotMatch',
  'CredentialsProviderError',
  'RequestTimeTooSkewed',
  'InvalidSignatureException',
]);

const WRONG_REGION: ReadonlySet<string> = new Set([
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
  'TemporaryRedirect',
]);

/** SQS says so under the name of a bad signature. */
const SCOPED_TO_REGION = /scoped to (?:a valid|correct) region/i;
/** "… is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:… because …". */
const NOT_AUTHORIZED = /not authorized to perform:\s*([\w-]+:\w+)(?:\s+on resource:\s*"?([^\s"]+))?/i;
/** Of an answer without a body, as to HEAD, the SDK makes one of these. */
const NAMELESS: ReadonlySet<string> = new Set(['400', 'BadRequest', 'Unknown', 'UnknownError', 'Error']);

/**
 * An error of the AWS SDK as one of ours: which resource, what it was denied, what to do.
 *
 * @param otherwise what it is when nothing better can be told: the service does not answer as it should.
 */
export function awsError(
  cause: unknown,
  { resource, action }: AwsCall,
  otherwise: 'store-unavailable' | 'queue-unavailable',
): SluiceError {
  if (cause instanceof SluiceError) return cause;
  const region = (cause as Shape | undefined)?.$response?.headers?.['x-amz-bucket-region'];
  const shape = (cause ?? {}) as Shape;
  const status = shape.$metadata?.httpStatusCode;
  const name = nameOf(shape);
  const make = (code: SluiceErrorCode, message: string, retryable = false): SluiceError =>
    new SluiceError(code, message, { cause: withoutExchange(cause), retryable });
  if (SCOPED_TO_REGION.test(shape.message ?? '')) {
    return make(
      'service-misconfigured',
      `${resource} lies in another region than ${action} was sent to (${shape.message}): set AWS_REGION to its region`,
    );
  }
  if (CREDENTIAL_ERRORS.has(name)) {
    return make(
      'credentials-invalid',
      `AWS does not accept the credentials (${name}) for ${action} on ${resource}: renew them (aws sso login, or new keys in the environment) and check this machine's clock`,
    );
  }
  if (name === 'NoSuchBucket') {
    return make(
      'service-misconfigured',
      `there is no bucket for ${resource}: create it, or correct its name`,
    );
  }
  if (name === 'QueueDoesNotExist' || name === 'AWS.SimpleQueueService.NonExistentQueue') {
    return make('service-misconfigured', `there is no queue ${resource}: create it, or correct its URL`);
  }
  if (WRONG_REGION.has(name) || status === 301) {
    return make(
      'service-misconfigured',
      `${resource} lies in another region${region === undefined ? '' : ` (${region})`}: set AWS_REGION to its region`,
    );
  }
  if (name === 'NoSuchKey' || name === 'NotFound' || status === 404) {
    return make('object-missing', `no object at ${resource} (${name})`);
  }
  if (status === 403 || name === 'AccessDenied' || name === 'AccessDeniedException') {
    // What is denied may be another thing than what was asked for: the key that an object is encrypted with.
    const [, missing = action, of = resource] = NOT_AUTHORIZED.exec(shape.message ?? '') ?? [];
    const asked = missing === action ? '' : `, which ${action} on ${resource} takes`;
    return make(
      otherwise === 'store-unavailable' ? 'object-forbidden' : 'access-denied',
      `not allowed: ${missing} on ${missing === action ? resource : of} (${name})${asked}; grant that permission to the role in use`,
    );
  }
  if (status === 400 && NAMELESS.has(name)) {
    return make(
      'credentials-invalid',
      `AWS answers 400 to ${action} on ${resource} and does not say why: most often the credentials have expired (renew them), or it lies in another region (set AWS_REGION)`,
    );
  }
  return make(otherwise, `${action} on ${resource} did not succeed (${name}: ${shape.message ?? ''})`, true);
}

/** The error without the whole HTTP exchange that the SDK hangs on it: nothing that belongs into a log. */
function withoutExchange(cause: unknown): unknown {
  if (!(cause instanceof Error) || !('$response' in cause)) return cause;
  const { name, message, stack, $metadata } = cause as Error & Shape;
  return Object.assign(new Error(message), { name, stack, $metadata });
}

function nameOf(shape: Shape): string {
  return shape.Code ?? shape.name ?? 'unknown error';
}
