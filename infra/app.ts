import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { App } from 'aws-cdk-lib';
import { AuditStack } from './audit-stack.ts';
import { readEnvironment } from './environment.ts';
import { buildLayer } from './packages/build-layer.ts';
import { bundleFunctions } from './packages/bundle-functions.ts';
import { packagedModels } from './packages/package-models.ts';
import { checkedPipeline } from './pipeline-description.ts';

// The CDK app. `npm run synth` runs it by itself; `cdk deploy` runs it by cdk.json.
const ROOT = fileURLToPath(new URL('../', import.meta.url));
const DIST = join(ROOT, 'dist');

const { positionals, values } = parseArgs({
  allowPositionals: true,
  // Where everything goes that is made on the way; the layer stays where "npm run package" has put it.
  options: { out: { type: 'string', default: DIST } },
});
const [command = 'synth', name = process.env['SLUICE_ENVIRONMENT'] ?? 'example'] = positionals;
const { out } = values;
const layer = join(DIST, 'decoder-layer');
if (command === 'package') {
  await buildLayer(layer);
} else {
  const environment = await readEnvironment(join(ROOT, 'infra/environments', `${name}.json`));
  const functionCode = join(out, 'functions');
  const pipeline = checkedPipeline(environment.pipeline, {
    hasQuarantine: environment.quarantine,
  });
  await bundleFunctions(functionCode, await packagedModels(pipeline));
  const app = new App({ outdir: process.env['CDK_OUTDIR'] ?? join(out, 'cdk.out') });
  new AuditStack(app, environment, { functionCode, decoderLayer: await decoderLayer() });
  app.synth();
}

/** Without the layer there is a template to look at, and nothing to deploy. */
async function decoderLayer(): Promise<string> {
  if (existsSync(join(layer, 'nodejs'))) return layer;
  // Set by the CDK's command line, which is about to upload.
  if (process.env['CDK_OUTDIR'] !== undefined) {
    throw new Error('the decoder layer is not built: run "npm run package" first');
  }
  process.stderr.write(
    'the decoder layer is not built (npm run package): its place in the template is empty\n',
  );
  const empty = join(out, 'empty-layer');
  await mkdir(empty, { recursive: true });
  return empty;
}
