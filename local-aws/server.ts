import type { IncomingMessage } from 'node:http';
import { buildApp } from 'fauxqs';
import { localStores, type PutObject, type S3Memory } from './object-store.ts';
import { createQueueCommand } from './queues.ts';

/** What a request meets instead of an answer; of `answer-lost` what was asked for has been done. */
export type Fault =
  | 'slow-down'
  | 'internal-error'
  | 'throttled'
  | 'denied'
  | 'reset'
  | 'answer-lost'
  | 'stall'
  | undefined;

/** What is known of a request when its fate is decided. */
export interface FaultRequest {
  readonly method: string;
  readonly url: string;
  readonly service: 's3' | 'sqs';
  /** Of SQS's: `ReceiveMessage`, `SendMessageBatch` and so on. */
  readonly action: string;
  /** The same for all tries of one call. */
  readonly invocation: string;
  readonly userAgent: string;
}

/** A request as it came, for whoever wants to know what is asked of AWS, and by whom. */
export interface SeenRequest extends FaultRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Of a POST; what is stored by a PUT is left out. */
  readonly body: string;
}

export interface LocalAwsOptions {
  /** Is told of every request that is answered. */
  readonly seen?: (request: SeenRequest) => void;
  /** Decides each request's fate; none, and all are answered. */
  readonly fault?: (request: FaultRequest) => Fault;
  /** Sends every message of these queues (by the end of their URLs) twice, as SQS may do now and then. */
  readonly duplicates?: (queueUrl: string) => boolean;
}

/** S3 and SQS of this machine, on a port of 127.0.0.1. */
export interface LocalAws extends AsyncDisposable {
  readonly endpoint: string;
  /** What processes must have in their environment to use it. */
  readonly env: Readonly<Record<string, string>>;
  createBucket(name: string): void;
  /** A queue with a dead-letter queue of its own, `<name>-dead`. @returns its URL. */
  createQueue(
    name: string,
    options?: { visibilitySeconds?: number; maxDeliveries?: number },
  ): Promise<string>;
  /** Announces every new object of a bucket in a queue, as S3 does. */
  notify(bucket: string, queueUrl: string): void;
  /** Tags that objects were given, by `bucket/key`. */
  readonly tags: ReadonlyMap<string, string>;
  readonly objects: S3Memory;
}

/** Packs are larger than fauxqs's 11 MiB. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;
/** Longer than callers are patient in the tests that want to see them lose it. */
const STALL_MS = 1_500;
/** On requests of the server to itself, which meet no faults. */
const OWN_HEADER = 'x-local';

/**
 * Starts fauxqs with what it lacks of S3: order, conditional puts, object tags, notifications, large bodies. The
 * region and the credentials are made up; it checks neither.
 */
export async function startLocalAws(options: LocalAwsOptions = {}): Promise<LocalAws> {
  const announced = new Map<string, string>();
  const tags = new Map<string, string>();
  const lost = new Set<IncomingMessage>();
  const onPut = ({ bucket, key, bytes, etag }: PutObject): void => {
    const queueUrl = announced.get(bucket);
    if (queueUrl !== undefined) void sqs('SendMessage', sendCommand(queueUrl, bucket, key, bytes, etag));
  };
  const stores = await localStores(onPut);
  const app = buildApp({ logger: false, stores });

  app.removeContentTypeParser('*');
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, (_request, body, done) =>
    done(null, body),
  );
  app.addHook('onRequest', (request, reply, next) => {
    const ours = request.headers[OWN_HEADER] !== undefined;
    const known = knownOf(request);
    switch (ours ? undefined : options.fault?.(known)) {
      case undefined:
        return next();
      case 'reset':
        return void request.raw.socket.destroy();
      case 'answer-lost':
        lost.add(request.raw);
        return next();
      case 'stall':
        return void setTimeout(() => request.raw.socket.destroy(), STALL_MS).unref();
      case 'throttled':
        return void reply
          .status(400)
          .header('x-amzn-errortype', 'ThrottlingException')
          .header('content-type', 'application/x-amz-json-1.0')
          .send(JSON.stringify({ __type: 'com.amazonaws.sqs#ThrottlingException', message: 'slow down' }));
      case 'denied':
        return known.service === 's3'
          ? void reply.status(403).header('content-type', 'application/xml').send(xmlError('AccessDenied'))
          : void reply
              .status(400)
              .header('x-amzn-errortype', 'AccessDeniedException')
              .header('content-type', 'application/x-amz-json-1.0')
              .send(JSON.stringify({ __type: 'com.amazon.coral.service#AccessDeniedException' }));
      case 'slow-down':
        return void reply.status(503).header('content-type', 'application/xml').send(xmlError('SlowDown'));
      case 'internal-error':
        return void reply
          .status(500)
          .header('content-type', 'application/xml')
          .send(xmlError('InternalError'));
    }
  });
  app.addHook('onSend', (request, _reply, _payload, next) => {
    if (lost.delete(request.raw)) request.raw.socket.destroy();
    next();
  });
  app.addHook('preHandler', (request, reply, next) => {
    if (request.headers[OWN_HEADER] === undefined) {
      const body = request.method === 'POST' ? textOf(request.body) : '';
      options.seen?.({ ...knownOf(request), headers: request.headers, body });
    }
    const target = String(request.headers['x-amz-target'] ?? '');
    if (target.includes('SendMessage') && request.headers[OWN_HEADER] === undefined) {
      const body = request.body as { QueueUrl?: string };
      if (options.duplicates?.(body.QueueUrl ?? '') === true) {
        const headers = { ...request.headers, [OWN_HEADER]: '1' };
        void app.inject({ method: 'POST', url: '/', headers, payload: JSON.stringify(body) });
      }
    }
    const [, bucket = '', rest = ''] = /^\/([^/?]+)\/?([^?]*)/.exec(request.url) ?? [];
    const key = decodeURIComponent(rest);
    if (/[?&]tagging/.test(request.url)) {
      const id = `${bucket}/${key}`;
      if (request.method === 'PUT') tags.set(id, String(request.body));
      const body = tags.get(id) ?? '<Tagging><TagSet></TagSet></Tagging>';
      return void reply
        .status(200)
        .header('content-type', 'application/xml')
        .send(request.method === 'GET' ? body : '');
    }
    const isTaken = (): boolean => {
      try {
        return stores.s3Store.headObject(bucket, key) !== undefined;
      } catch {
        return false;
      }
    };
    if (request.method === 'PUT' && request.headers['if-none-match'] === '*' && isTaken()) {
      return void reply
        .status(412)
        .header('content-type', 'application/xml')
        .send(xmlError('PreconditionFailed'));
    }
    next();
  });

  const endpoint = await app.listen({ host: '127.0.0.1', port: 0 });
  const sqs = async (action: string, payload: object): Promise<Record<string, unknown>> => {
    const response = await app.inject({
      method: 'POST',
      url: '/',
      headers: {
        // fauxqs builds a queue's URL from the host that it was created through.
        host: new URL(endpoint).host,
        [OWN_HEADER]: '1',
        'content-type': 'application/x-amz-json-1.0',
        'x-amz-target': `AmazonSQS.${action}`,
      },
      payload: JSON.stringify(payload),
    });
    if (response.statusCode !== 200) throw new Error(`${action}: ${response.body}`);
    return response.body === '' ? {} : (JSON.parse(response.body) as Record<string, unknown>);
  };
  return {
    endpoint,
    tags,
    objects: stores.s3Store,
    env: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    createBucket: (name) => stores.s3Store.createBucket(name),
    createQueue: async (name, queue = {}) => {
      await sqs('CreateQueue', { QueueName: `${name}-dead` });
      const { QueueUrl } = await sqs('CreateQueue', createQueueCommand(name, queue));
      return QueueUrl as string;
    },
    notify: (bucket, queueUrl) => void announced.set(bucket, queueUrl),
    [Symbol.asyncDispose]: async () => {
      await app.close();
    },
  };
}

function knownOf({ method, url, headers }: Pick<SeenRequest, 'method' | 'url' | 'headers'>): FaultRequest {
  return {
    method,
    url,
    service: method === 'POST' && url === '/' ? 'sqs' : 's3',
    action: String(headers['x-amz-target'] ?? '').replace(/^AmazonSQS\./, ''),
    invocation: String(headers['amz-sdk-invocation-id'] ?? ''),
    userAgent: String(headers['user-agent'] ?? ''),
  };
}

function textOf(body: unknown): string {
  return Buffer.isBuffer(body) || typeof body === 'string' ? body.toString() : JSON.stringify(body ?? {});
}

/** The notification of one new object. Source: "Event message structure" in the S3 user guide. */
function sendCommand(queueUrl: string, bucket: string, key: string, bytes: number, etag: string): object {
  const record = {
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    awsRegion: 'us-east-1',
    eventTime: new Date().toISOString(),
    eventName: 'ObjectCreated:Put',
    s3: {
      s3SchemaVersion: '1.0',
      bucket: { name: bucket, arn: `arn:aws:s3:::${bucket}` },
      object: {
        key: encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/'),
        size: bytes,
        eTag: etag.replaceAll('"', ''),
        sequencer: process.hrtime.bigint().toString(16).padStart(18, '0'),
      },
    },
  };
  return { QueueUrl: queueUrl, MessageBody: JSON.stringify({ Records: [record] }) };
}

function xmlError(code: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
}
