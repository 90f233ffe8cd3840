/** Who works in a pipeline; `docs/aws.md` has the same table. */
export const PIPELINE_ROLES = ['plan', 'preprocess', 'ingest', 'finalize', 'worker', 'submit'] as const;
export type PipelineRole = (typeof PIPELINE_ROLES)[number];
