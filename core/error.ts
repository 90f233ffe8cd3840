/**
 * What went wrong with the system (never with an image: a bad image is a {@link Refusal}, a value).
 * The list is closed so that callers can switch on it.
 */
export const SLUICE_ERROR_CODES = [
  'config-invalid',
  'source-invalid',
  'model-invalid',
  'access-denied',
  'credentials-invalid',
  'service-misconfigured',
  'object-missing',
  'object-forbidden',
  'object-too-large',
  'store-unavailable',
  'queue-unavailable',
  'pack-damaged',
  'model-mismatch',
  'message-malformed',
  'engine-unavailable',
  'engine-failed',
  'engine-lost',
  'engine-given-up',
  'job-conflict',
  'accounting-broken',
  'aborted',
  'internal',
] as const;

export type SluiceErrorCode = (typeof SLUICE_ERROR_CODES)[number];

/**
 * The one error class of the project. `message` says what was expected, what came and what to do;
 * `retryable` says whether the same call may succeed later.
 *
 * @example
 * throw new SluiceError('object-missing', `expected an object at "${key}", found none`, { cause });
 */
export class SluiceError extends Error {
  readonly code: SluiceErrorCode;
  readonly retryable: boolean;

  constructor(
    code: SluiceErrorCode,
    message: string,
    options: { cause?: unknown; retryable?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SluiceError';
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Whether it is an error of the project with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly SluiceErrorCode[]): error is SluiceError {
  return error instanceof SluiceError && codes.includes(error.code);
}

/** The error's message, whatever was thrown, without the line break that native libraries end theirs with. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim();
}
