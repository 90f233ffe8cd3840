/** What a line of the log may say beside its message. */
export type LogFields = Readonly<Record<string, unknown>>;

/** One JSON object a line, as CloudWatch Logs and most others read it. */
export interface JsonLog {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** @param fields stand in every line. */
export function jsonLog(fields: LogFields = {}, write: (line: string) => void = toStdout): JsonLog {
  const log =
    (level: string) =>
    (message: string, more: LogFields = {}): void =>
      write(
        `${JSON.stringify({ level, timestamp: new Date().toISOString(), message, ...fields, ...more })}\n`,
      );
  return { info: log('INFO'), warn: log('WARN'), error: log('ERROR') };
}

function toStdout(line: string): void {
  process.stdout.write(line);
}
