import { randomBytes } from 'node:crypto';
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { messageOf } from '#core/error.ts';
import { workerStatusKey } from '#core/job-layout.ts';
import type { PipelineRole } from '#core/pipeline-roles.ts';
import type { Pipeline, QueueName } from './pipeline.ts';

/** One permission on one resource, asked for by a request. */
export interface PermissionFinding {
  readonly action: string;
  readonly resource: string;
  readonly ok: boolean;
  /** Why not, or what the resource is set to. */
  readonly detail: string;
}

/** The queues that a role receives from and sends to. */
const USES: Readonly<Record<PipelineRole, { receives: readonly QueueName[]; sends: readonly QueueName[] }>> =
  {
    plan: { receives: ['jobs'], sends: ['jobs', 'shards'] },
    preprocess: { receives: ['shards'], sends: ['bulk', 'shards'] },
    ingest: { receives: ['events'], sends: ['live'] },
    finalize: { receives: [], sends: [] },
    worker: { receives: ['live', 'bulk'], sends: ['shards', 'events', 'verdicts'] },
    submit: { receives: [], sends: ['jobs'] },
  };
/** Workers of a cascade announce the packs of what a part hands on. */
const CASCADE_SENDS: Readonly<Partial<Record<PipelineRole, readonly QueueName[]>>> = { worker: ['bulk'] };
const STORE_ACTIONS = ['s3:ListBucket', 's3:PutObject', 's3:GetObject', 's3:DeleteObject'] as const;
/** A lease that ends before a heartbeat can extend it is delivered to somebody else meanwhile. */
const MIN_VISIBILITY_MS = 10_000;

/**
 * Asks for each permission of some roles in turn. In the work store by an object under `workers/`, which is deleted again; of a queue by
 * requests that SQS refuses for another reason where they are allowed (an empty batch): no message is touched.
 */
export async function checkPermissions(
  pipeline: Pipeline,
  roles: readonly PipelineRole[],
): Promise<PermissionFinding[]> {
  const findings = await checkStore(pipeline);
  const receives = new Set(roles.flatMap((role) => USES[role].receives));
  const ofCascade = pipeline.config.cascade === undefined ? {} : CASCADE_SENDS;
  const sends = new Set(roles.flatMap((role) => [...USES[role].sends, ...(ofCascade[role] ?? [])]));
  for (const name of new Set([...receives, ...sends])) {
    const url = pipeline.config.queues[name];
    if (url === undefined) continue;
    const settings = await checkSettings(pipeline, name);
    findings.push(settings);
    if (!settings.ok) continue;
    const actions = [
      ...(sends.has(name) ? (['sqs:SendMessage'] as const) : []),
      ...(receives.has(name)
        ? (['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:ChangeMessageVisibility'] as const)
        : []),
    ];
    for (const action of actions) findings.push(await checkQueue(pipeline.clients.sqs, action, name, url));
  }
  return findings;
}

async function checkStore({ works, config }: Pipeline): Promise<PermissionFinding[]> {
  const key = workerStatusKey(`doctor-${randomBytes(6).toString('hex')}`);
  const requests: Record<(typeof STORE_ACTIONS)[number], () => Promise<unknown>> = {
    's3:ListBucket': () => works.list({ prefix: key }),
    's3:PutObject': () => works.put(key, Buffer.from('{}')),
    's3:GetObject': () => works.get(key),
    's3:DeleteObject': () => works.delete([key]),
  };
  const findings: PermissionFinding[] = [];
  for (const action of STORE_ACTIONS) {
    try {
      await requests[action]();
      findings.push({ action, resource: config.work, ok: true, detail: 'allowed' });
    } catch (error) {
      findings.push({ action, resource: config.work, ok: false, detail: messageOf(error) });
    }
  }
  return findings;
}

async function checkSettings(pipeline: Pipeline, name: QueueName): Promise<PermissionFinding> {
  const finding = { action: 'sqs:GetQueueAttributes', resource: `queue ${name}` };
  try {
    const { visibilityMs, maxDeliveries } = await pipeline.queue(name);
    const seconds = visibilityMs / 1000;
    if (visibilityMs < MIN_VISIBILITY_MS)
      return {
        ...finding,
        ok: false,
        detail: `visibility time-out ${seconds} s: expected at least ${MIN_VISIBILITY_MS / 1000} s`,
      };
    const deliveries = Number.isFinite(maxDeliveries) ? `${maxDeliveries} deliveries` : 'no dead letters';
    return { ...finding, ok: true, detail: `visibility time-out ${seconds} s, ${deliveries}` };
  } catch (error) {
    return { ...finding, ok: false, detail: messageOf(error) };
  }
}

async function checkQueue(
  client: SQSClient,
  action: 'sqs:SendMessage' | 'sqs:ReceiveMessage' | 'sqs:DeleteMessage' | 'sqs:ChangeMessageVisibility',
  name: QueueName,
  QueueUrl: string,
): Promise<PermissionFinding> {
  const finding = { action, resource: `queue ${name}` };
  const nothing = { QueueUrl, Entries: [] };
  const requests = {
    'sqs:SendMessage': () => client.send(new SendMessageBatchCommand(nothing)),
    'sqs:ReceiveMessage': () => client.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 0 })),
    'sqs:DeleteMessage': () => client.send(new DeleteMessageBatchCommand(nothing)),
    'sqs:ChangeMessageVisibility': () => client.send(new ChangeMessageVisibilityBatchCommand(nothing)),
  };
  try {
    await requests[action]();
  } catch (error) {
    const { name: code = '', $metadata } = error as {
      name?: string;
      $metadata?: { httpStatusCode?: number };
    };
    const status = $metadata?.httpStatusCode;
    if (status === 403 || code.startsWith('AccessDenied'))
      return { ...finding, ok: false, detail: `not allowed (${code}): grant it to the role in use` };
    // Any other refusal of the request itself means that it came that far.
    if (status !== 400) return { ...finding, ok: false, detail: messageOf(error) };
  }
  return { ...finding, ok: true, detail: 'allowed' };
}
