import { request } from 'node:http';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { S3ObjectStore } from '#adapters/s3-store.ts';
import { packIdText, packKey } from '#core/job-layout.ts';
import { decodePack, encodePack } from '#core/pack.ts';
import { storedPackFiles } from '#workers/pack-files.ts';
import { RecycledMemory } from '#workers/recycled-memory.ts';
import { atLeast, type BenchResult, median } from './support/bench.ts';
import { LocalCloud } from './support/local-cloud.ts';

const PACKS = 48;
const IMAGES = 64;
const SIDE_PX = 224;
const ROUNDS = 8;
const FETCHERS = [1, 2, 4] as const;

type Way = 'loop' | 'recycledLoop' | 'product' | 'fresh' | 'checkedAfter' | 'collected';

function newSeries(): Record<Way, number[]> {
  return { loop: [], recycledLoop: [], product: [], fresh: [], checkedAfter: [], collected: [] };
}

/**
 * Packs (64 images of 224 px, 9.6 MB) from the object store to checked, ready tensors: by the product, which reads a
 * body into memory that goes round and checks it on the way; by the same into fresh memory; the same checked afterwards;
 * and with the SDK's own collecting of the body. Beside them a plain loop of GETs in Node that only reads, which is
 * the limit, and the same loop into memory that goes round.
 */
export async function transportBench(): Promise<BenchResult[]> {
  await using cloud = await LocalCloud.start({});
  const { works, clients, workLocation } = cloud.pipeline;
  const keys: string[] = [];
  let packBytes = 0;
  for (let i = 0; i < PACKS; i++) {
    const id = { job: 'bench', stage: 'bench', name: String(i) };
    const images = Buffer.alloc(IMAGES * SIDE_PX * SIDE_PX * 3, i);
    const { header, body } = encodePack({
      header: {
        schema: 1,
        pack: packIdText(id),
        preprocessHash: 'p',
        decoderVersion: 'd',
        items: Array.from({ length: IMAGES }, (_, index) => ({
          index,
          ref: { key: `${i}/${index}.jpg`, etag: 'e', bytes: 1 },
          widthPx: 1,
          heightPx: 1,
          format: 'jpeg',
          contentHash: '0'.repeat(32),
          perceptualHash: null,
          preprocessMs: 1,
        })),
        refused: [],
      },
      heightPx: SIDE_PX,
      widthPx: SIDE_PX,
      images,
    });
    await works.put(packKey(id), [header, body]);
    keys.push(packKey(id));
    packBytes = header.length + body.length;
  }
  const megabytes = (PACKS * IMAGES * SIDE_PX * SIDE_PX * 3) / 1e6;
  const endpoint = new URL(cloud.env['AWS_ENDPOINT_URL'] ?? '');
  const store = new S3ObjectStore({ ...workLocation, client: clients.s3 });
  const collect = async (key: string): Promise<Buffer> => {
    const answer = await clients.s3.send(new GetObjectCommand({ Bucket: workLocation.bucket, Key: key }));
    return Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
  };

  const memory = new RecycledMemory();
  const none = new RecycledMemory(0);
  const get = async (key: string, into: RecycledMemory): Promise<void> => {
    const { file, checksum } = await storedPackFiles(store, into).read(key, packBytes);
    into.give(decodePack(file, checksum).images.buffer as ArrayBuffer);
  };

  const results: BenchResult[] = [];
  for (const fetchers of FETCHERS) {
    const rates = newSeries();
    const cpu = newSeries();
    const measure = async (name: Way, one: (key: string) => Promise<void>): Promise<void> => {
      const before = process.cpuUsage();
      const startedMs = performance.now();
      const todo = [...keys];
      const fetcher = async (): Promise<void> => {
        for (let key = todo.pop(); key !== undefined; key = todo.pop()) await one(key);
      };
      await Promise.all(Array.from({ length: fetchers }, fetcher));
      rates[name].push(megabytes / ((performance.now() - startedMs) / 1000));
      const { user, system } = process.cpuUsage(before);
      cpu[name].push((user + system) / 1e6 / (megabytes / 1000));
    };
    const ways: Record<Way, (key: string) => Promise<void>> = {
      loop: (key) => plainGet(endpoint, `/${workLocation.bucket}/${key}`, none),
      recycledLoop: (key) => plainGet(endpoint, `/${workLocation.bucket}/${key}`, memory),
      product: (key) => get(key, memory),
      fresh: (key) => get(key, none),
      checkedAfter: async (key) => void decodePack((await store.get(key)).body),
      collected: async (key) => void decodePack(await collect(key)),
    };
    // Each round begins with another one: whoever comes first meets the others' garbage.
    const names = Object.keys(ways) as Way[];
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < names.length; i++) {
        const name = names[(round + i) % names.length] as Way;
        await measure(name, ways[name]);
      }
    }
    const of = `${fetchers} fetcher${fetchers > 1 ? 's' : ''}`;
    results.push(
      {
        metric: `${of}: packs/s to ready tensors`,
        value: median(rates.product) / (megabytes / PACKS),
        unit: 'packs/s',
      },
      { metric: `${of}: to ready tensors`, value: median(rates.product), unit: 'MB/s' },
      { metric: `${of}: the same into fresh memory`, value: median(rates.fresh), unit: 'MB/s' },
      {
        metric: `${of}: the same, and checked after reading`,
        value: median(rates.checkedAfter),
        unit: 'MB/s',
      },
      {
        metric: `${of}: with the SDK's own collecting of the body`,
        value: median(rates.collected),
        unit: 'MB/s',
      },
      { metric: `${of}: plain GET loop`, value: median(rates.loop), unit: 'MB/s' },
      {
        metric: `${of}: plain GET loop into memory that goes round`,
        value: median(rates.recycledLoop),
        unit: 'MB/s',
      },
      { metric: `${of}: processor time to ready tensors`, value: median(cpu.product), unit: 's/GB' },
      { metric: `${of}: processor time of the plain loop`, value: median(cpu.loop), unit: 's/GB' },
      atLeast(
        `${of}: ready tensors / plain GET loop`,
        median(rates.product.map((rate, i) => rate / (rates.loop[i] ?? 1))),
        0.85,
      ),
      {
        metric: `${of}: ready tensors / plain GET loop into memory that goes round`,
        value: median(rates.product.map((rate, i) => rate / (rates.recycledLoop[i] ?? 1))),
        unit: 'ratio',
      },
    );
  }
  return results;
}

/** One GET whose body is read into one buffer, and nothing else. */
function plainGet(endpoint: URL, path: string, memory: RecycledMemory): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: endpoint.hostname, port: endpoint.port, path }, (response) => {
      const body = memory.take(Number(response.headers['content-length']));
      let filled = 0;
      response.on('data', (chunk: Buffer) => {
        filled += chunk.copy(body, filled);
      });
      response.on('end', () => {
        if (filled !== body.length) return reject(new Error('cut short'));
        memory.give(body.buffer as ArrayBuffer);
        resolve();
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}
