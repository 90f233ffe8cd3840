import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writePhotos } from '#test/support/photo-folder.ts';
import { lastLine, sluice } from '#test/support/sluice-command.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const PYTHON = process.env['SLUICE_PYTHON'] ?? 'python3';

const lacking = spawnSync(PYTHON, ['-c', 'import pyarrow.parquet'], { stdio: 'ignore' }).status !== 0;

describe.skipIf(lacking)(
  `pyarrow ${lacking ? `(needs ${PYTHON} with pyarrow; set SLUICE_PYTHON)` : ''}`,
  () => {
    it('reads the audit table with its types', async () => {
      await using folder = await temporaryFolder();
      await writePhotos(join(folder.path, 'photos'), 20);
      const run = lastLine(
        await sluice('run', join(folder.path, 'photos'), '--out', join(folder.path, 'out'), '--json').result,
      );
      const program = `
import json, sys, pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
print(json.dumps({"rows": table.num_rows, "checks": str(table.schema.field("checks").type),
  "dark": str(table.schema.field("score_dark").type), "states": sorted(set(table["state"].to_pylist()))}))`;
      const read = JSON.parse(
        execFileSync(PYTHON, ['-c', program, run.outputs.audit], { encoding: 'utf8' }),
      ) as object;
      expect(read).toMatchObject({ rows: 20, dark: 'float', states: ['audited', 'unreadable'] });
      expect((read as { checks: string }).checks).toMatch(/^list<element: string/);
    }, 60_000);
  },
);
