import { readFileSync } from 'node:fs';
import { PROJECT_FOLDER } from './runtime.ts';

/** Name and version of this software, as it stands in receipts: "sluice 0.1.0". */
export function softwareVersion(): string {
  const { name, version } = JSON.parse(readFileSync(new URL('package.json', PROJECT_FOLDER), 'utf8')) as {
    name: string;
    version: string;
  };
  return `${name} ${version}`;
}
