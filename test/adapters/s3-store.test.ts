import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3ObjectStore } from '#adapters/s3-store.ts';
import { type Fault, type FaultRequest, type LocalAws, startLocalAws } from '#local-aws/server.ts';
import { describeObjectStore } from '#test/contracts/object-store.ts';

let aws: LocalAws;
let fault: Fault;
let faultOf: ((request: FaultRequest) => Fault) | undefined;
let buckets = 0;
beforeAll(async () => {
  aws = await startLocalAws({ fault: (request) => faultOf?.(request) ?? fault });
});
afterAll(() => aws[Symbol.asyncDispose]());

function client(endpoint = aws.endpoint): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
    forcePathStyle: true,
    maxAttempts: 2,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

function open(prefix = ''): S3ObjectStore {
  const bucket = `bucket-${buckets++}`;
  aws.createBucket(bucket);
  return new S3ObjectStore({ bucket, prefix, client: client(), pageSize: 3, callTimeoutMs: 1000 });
}

const disposed = { [Symbol.asyncDispose]: async () => undefined };
describeObjectStore('S3ObjectStore', async () => ({ store: open(), ...disposed }), 3);
describeObjectStore('S3ObjectStore below a prefix', async () => ({ store: open('a b/é/'), ...disposed }), 3);

describe('S3ObjectStore', () => {
  it('uploads in parts what is too large for one put', async () => {
    const store = open();
    const writer = await store.createWriter('large');
    for (let i = 0; i < 5; i++) await writer.write(Buffer.alloc(5 * 1024 * 1024, i));
    expect(await store.head('large')).toBeUndefined();
    await writer.commit();
    const { body } = await store.get('large');
    expect(body.length).toBe(25 * 1024 * 1024);
    expect([body[0], body.at(-1)]).toEqual([0, 4]);
  });

  it('knows its own conditional put when the answer to it was lost', async () => {
    const store = open();
    let first = true;
    faultOf = ({ method }) => {
      const isLost = method === 'PUT' && first;
      if (isLost) first = false;
      return isLost ? 'answer-lost' : undefined;
    };
    try {
      expect(await store.put('k', Buffer.from('mine'), { ifAbsent: true })).toBe('written');
      expect(first).toBe(false);
      first = true;
      expect(await store.put('k', Buffer.from('yours'), { ifAbsent: true })).toBe('exists');
    } finally {
      faultOf = undefined;
    }
    expect((await store.get('k')).body.toString()).toBe('mine');
  });

  it('takes a bare 400 to HEAD, which has no body to say more, for expired credentials', async () => {
    let heads = 0;
    const server = createServer((_request, response) => {
      heads++;
      response.writeHead(400).end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const store = new S3ObjectStore({ bucket: 'photos', client: client(`http://127.0.0.1:${port}`) });
    await expect(store.head('a.jpg')).rejects.toMatchObject({
      code: 'credentials-invalid',
      retryable: false,
      message: expect.stringMatching(/s3:\/\/photos\/a\.jpg.*expired/),
    });
    expect(heads).toBe(1);
    server.close();
  });

  it('tags an object and keeps its other tags, and copies it', async () => {
    const store = open();
    await store.put('k', Buffer.from('v'));
    await store.tag('k', { first: '1' });
    await store.tag('k', { 'sluice:verdict': 'reject' });
    const [tags] = [...aws.tags.entries()].filter(([id]) => id.endsWith('/k')).map(([, xml]) => xml);
    expect(tags).toContain('first');
    expect(tags).toContain('sluice:verdict');
    expect((await store.get('k')).body.toString()).toBe('v');
    await store.copyFrom({ bucket: `bucket-${buckets - 1}`, key: 'k' }, 'quarantine/k');
    expect((await store.get('quarantine/k')).body.toString()).toBe('v');
  });

  it('names the bucket that is not there', async () => {
    const store = new S3ObjectStore({ bucket: 'nowhere', client: client() });
    await expect(store.get('k')).rejects.toMatchObject({
      code: 'service-misconfigured',
      message: expect.stringContaining('s3://nowhere/k'),
    });
    await expect(store.list()).rejects.toMatchObject({ code: 'service-misconfigured' });
  });

  it.each([['slow-down'], ['internal-error'], ['reset']] as const)(
    'says that the store is unavailable, and that trying again may help, on %s',
    async (kind) => {
      const store = open();
      await store.put('k', Buffer.from('v'));
      fault = kind;
      try {
        await expect(store.put('k', Buffer.from('w'))).rejects.toMatchObject({
          code: 'store-unavailable',
          retryable: true,
        });
      } finally {
        fault = undefined;
      }
    },
  );

  it('gives up a call that stalls', async () => {
    const store = open();
    fault = 'stall';
    try {
      await expect(store.head('k')).rejects.toMatchObject({ code: 'store-unavailable', retryable: true });
    } finally {
      fault = undefined;
    }
  });
});
