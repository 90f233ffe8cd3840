import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createPipeline } from './local-pipeline.ts';
import { startLocalAws } from './server.ts';

// S3 and SQS as a process of their own, with a pipeline's buckets and queues. Prints one line of JSON when it is ready.
const { values } = parseArgs({
  options: {
    name: { type: 'string', default: 'local' },
    /** Anything of the pipeline's configuration, as JSON. */
    config: { type: 'string', default: '{}' },
    /** A folder whose files become the images. */
    photos: { type: 'string' },
    'visibility-seconds': { type: 'string', default: '60' },
  },
});
const aws = await startLocalAws();
const { config, images } = await createPipeline(aws, {
  name: values.name,
  visibilitySeconds: Number(values['visibility-seconds']),
  config: JSON.parse(values.config) as Record<string, unknown>,
});
if (values.photos !== undefined) {
  for (const file of await readdir(values.photos)) {
    aws.objects.putObject(images, file, await readFile(join(values.photos, file)));
  }
}
aws.notify(images, config.queues.events);
process.stdout.write(`${JSON.stringify({ env: aws.env, config, images })}\n`);
process.on('SIGTERM', () => void aws[Symbol.asyncDispose]().then(() => process.exit(0)));
