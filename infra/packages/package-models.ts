import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadStages } from '#adapters/load-stages.ts';
import { loadManifest } from '#adapters/model-folder.ts';
import type { PipelineConfig } from '#core/pipeline-config.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * The folder of a pipeline's model. It lies in `models/`, where the workers' image takes it from too.
 *
 * @throws Error for a model that lies elsewhere.
 */
export function packagedModel(nameOrFolder = 'quality'): string {
  const [, name] = /^(?:\.\/)?(?:models\/)?([^/\\.][^/\\]*)\/?$/.exec(nameOrFolder) ?? [];
  if (name !== undefined) return join(ROOT, 'models', name);
  throw new Error(
    `model "${nameOrFolder}" cannot be deployed: expected a folder in models/, from which functions and the workers' image are made; got another place`,
  );
}

/**
 * The folders of all models that a pipeline names, those on trial too: whoever loads its stages reads all their manifests.
 *
 * @throws SluiceError where a manifest is not there or not right, or a cascade does not fit its models.
 */
export async function packagedModels(
  config: Pick<PipelineConfig, 'model' | 'cascade' | 'policy'>,
): Promise<string[]> {
  const folders = new Set<string>();
  await loadStages(config, async (nameOrFolder) => {
    const folder = packagedModel(nameOrFolder);
    folders.add(folder);
    return { manifest: await loadManifest(folder) };
  });
  return [...folders];
}
