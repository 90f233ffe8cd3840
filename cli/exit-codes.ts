import { SluiceError, type SluiceErrorCode } from '#core/error.ts';

/** What the exit code of `sluice` says. They stand in `--help` and in the README. */
export const EXIT = {
  ok: 0,
  /** Something broke: the message says what. */
  error: 1,
  /** The command, its configuration, its model or its source is not usable as given. */
  usage: 2,
  /** The job is finished, but some images failed: they are in the audit table with state "failed". */
  someFailed: 3,
  /** An image has the verdict of --fail-on, or a graver one. */
  verdict: 4,
  /** No fleet was found that is done by --deadline. */
  late: 5,
  /** Stopped by Ctrl-C or SIGTERM: run the same command again to go on. */
  stopped: 130,
} as const;

const USAGE_ERRORS: ReadonlySet<SluiceErrorCode> = new Set([
  'config-invalid',
  'source-invalid',
  'model-invalid',
  'job-conflict',
]);

/** The exit code for an error that ended a command. */
export function exitCodeOf(error: unknown): number {
  return error instanceof SluiceError && USAGE_ERRORS.has(error.code) ? EXIT.usage : EXIT.error;
}
