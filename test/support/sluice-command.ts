import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../cli/sluice.mjs', import.meta.url));

export interface CommandResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the `sluice` command as a user does: a process of its own, knowing nothing of the test. */
export function sluice(...args: string[]): { process: ChildProcess; result: Promise<CommandResult> } {
  return sluiceWith({}, ...args);
}

/** The same, started with these options: in another folder, or as another user. */
export function sluiceWith(
  options: Pick<SpawnOptions, 'cwd' | 'uid' | 'gid'>,
  ...args: string[]
): { process: ChildProcess; result: Promise<CommandResult> } {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SLUICE_')));
  const child = spawn(process.execPath, [COMMAND, ...args], {
    ...options,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const result = new Promise<CommandResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal, stdout, stderr }));
  });
  return { process: child, result };
}

interface Accounted {
  readonly planned: number;
  readonly audited: number;
  readonly unreadable: number;
  readonly failed: number;
}

/** The last line of `sluice run --json`. */
export interface RunLine extends Accounted {
  readonly job: string;
  /** Of a cascade. */
  readonly stages?: readonly (Accounted & { readonly stage: string })[];
  readonly verdicts: Readonly<Record<string, number>>;
  readonly sourceProblemCount: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  readonly outputs: { readonly audit: string; readonly summary: string; readonly report: string };
}

export function lastLine(result: CommandResult): RunLine {
  const line = result.stdout.trim().split('\n').at(-1);
  if (line === undefined || !line.startsWith('{'))
    throw new Error(`no JSON line came; stderr:\n${result.stderr}`);
  return JSON.parse(line) as RunLine;
}
