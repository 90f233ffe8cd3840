import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { RunConfig } from '#core/config.ts';
import { messageOf, SluiceError } from '#core/error.ts';
import { expectedText, optionName, SETTINGS, type Setting, settingValue } from './settings.ts';

const DEFAULT_FILE = 'sluice.config.json';

export interface ConfigSources {
  /** Flags as commander gives them; only those that were set. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The config file; left out, `sluice.config.json` in the working folder where there is one. */
  readonly file?: string | undefined;
}

/**
 * The configuration of a run: flags over environment over config file over defaults.
 *
 * @throws SluiceError `config-invalid` that lists every bad value, each with the place it came from.
 */
export async function readConfig(sources: ConfigSources): Promise<RunConfig> {
  const file = await readConfigFile(sources.file);
  const merged = structuredClone(file.values);
  const origins = new Map<string, string>();
  const unknown = Object.keys(sources.env).filter(
    (name) =>
      name.startsWith('SLUICE_') &&
      !NOT_SETTINGS.has(name) &&
      !SETTINGS.some((setting) => setting.env === name),
  );
  for (const setting of SETTINGS) {
    const variable = sources.env[setting.env];
    const flag = sources.flags[optionName(setting)] as string | string[] | undefined;
    if (variable !== undefined && variable !== '') put(merged, origins, setting, variable, setting.env);
    if (flag !== undefined) put(merged, origins, setting, flag, setting.flag.split(' ')[0] as string);
  }
  const parsed = RunConfig.safeParse(merged);
  const problems = parsed.success
    ? []
    : parsed.error.issues.flatMap((issue) => describe(issue, merged, origins, file.name));
  for (const name of unknown) problems.push(`${name}: no such setting (in the environment)`);
  if (!parsed.success || problems.length > 0) {
    throw new SluiceError(
      'config-invalid',
      `the configuration has ${problems.length} bad value(s):\n${problems.map((p) => `  ${p}`).join('\n')}`,
    );
  }
  return parsed.data;
}

/** Variables of this name space that are no settings of a run. */
const NOT_SETTINGS: ReadonlySet<string> = new Set([
  'SLUICE_SHARED_DIR',
  'SLUICE_PYTHON',
  'SLUICE_PIPELINE',
  'SLUICE_S3_ENDPOINT',
  'SLUICE_SQS_ENDPOINT',
]);

async function readConfigFile(
  path: string | undefined,
): Promise<{ name: string; values: Record<string, unknown> }> {
  const name = path ?? DEFAULT_FILE;
  let text: string;
  try {
    text = await readFile(name, 'utf8');
  } catch (cause) {
    if (path === undefined && (cause as NodeJS.ErrnoException).code === 'ENOENT') return { name, values: {} };
    throw new SluiceError('config-invalid', `the config file "${name}" cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
  try {
    const values: unknown = JSON.parse(text);
    if (values === null || typeof values !== 'object' || Array.isArray(values))
      throw new Error('expected an object');
    const { $schema: _, ...settings } = values as Record<string, unknown>;
    return { name, values: settings };
  } catch (cause) {
    throw new SluiceError(
      'config-invalid',
      `the config file "${name}" is not a JSON object: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function put(
  config: Record<string, unknown>,
  origins: Map<string, string>,
  setting: Setting,
  text: string | string[],
  origin: string,
): void {
  const [first, second] = setting.path.split('.') as [string, string | undefined];
  const value = settingValue(setting, text);
  if (second === undefined) {
    config[first] = value;
  } else {
    const inner = config[first];
    config[first] = { ...(typeof inner === 'object' ? inner : {}), [second]: value };
  }
  origins.set(setting.path, origin);
}

function describe(
  issue: z.core.$ZodIssue,
  config: unknown,
  origins: ReadonlyMap<string, string>,
  fileName: string,
): string[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${[...path, key].join('.')}: no such setting (in ${fileName})`);
  }
  const name = path.slice(0, path[0] === 'limits' ? 2 : 1).join('.');
  const origin = origins.get(name) ?? fileName;
  const got = path.reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], config);
  const setting = SETTINGS.find((one) => one.path === name);
  const message = (setting && expectedText(setting, got)) ?? issue.message;
  return [`${path.join('.')}: ${message}, got ${JSON.stringify(got)} (from ${origin})`];
}
