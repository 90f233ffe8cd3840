import { request } from 'node:http';
import { crc32 } from 'node:zlib';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { S3ObjectStore } from '#adapters/s3-store.ts';
import { packIdText, packKey } from '#core/job-layout.ts';
import { decodePack, encodePack } from '#core/pack.ts';
import { FetchThreads } from '#workers/fetch-threads.ts';
import { type PackFiles, storedPackFiles } from '#workers/pack-files.ts';
import { RecycledMemory } from '#workers/recycled-memory.ts';
import { atLeast, type BenchResult, median } from './support/bench.ts';
import { LocalCloud } from './support/local-cloud.ts';

const PACKS = 24;
const IMAGES = 64;
const SIDE_PX = 224;
const ROUNDS = 7;
const FETCHERS = [1, 2, 4] as const;
/** As many as a worker beside a GPU has. */
const THREADS = 2;

const WAYS = [
  'loop',
  'checkedLoop',
  'recycledLoop',
  'product',
  'oneThread',
  'checkedAfter',
  'collected',
] as const;
type Way = (typeof WAYS)[number];

/** Reads some packs, with so many transfers under way at a time, and is done when all of them are ready. */
type Reader = (keys: readonly string[]) => Promise<void>;

/**
 * Packs (64 images of 224 px, 9.6 MB) from the object store to checked, ready tensors: by the product as a worker beside a
 * GPU has it, whose threads read into memory that goes round and check on the way, and which asks for as many packs ahead as it
 * prefetches; by the same on this thread, as a worker without a GPU has it; checked afterwards; and with the SDK's own collecting
 * of the body. Beside them a plain loop of GETs in Node that only reads, which is the limit; the same loop that computes
 * Node's CRC-32 as well, which is what one thread can do at most without a faster checksum; and the loop into memory that goes round.
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
          contentHash: '0'.repeat(16),
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
  const files = storedPackFiles(store, memory);
  const { prefetchPacks } = cloud.pipeline.config.worker;
  const ready = async (read: PackFiles, key: string): Promise<void> => {
    const { file, checksum } = await read.read(key, packBytes);
    memory.give(decodePack(file, checksum).images.buffer as ArrayBuffer);
  };

  const results: BenchResult[] = [];
  for (const fetchers of FETCHERS) {
    await using threads = new FetchThreads(workLocation, THREADS, memory, fetchers);
    await Promise.all(keys.map((key) => ready(threads, key)));
    const rates = newSeries();
    const cpu = newSeries();
    const measure = async (name: Way, read: Reader): Promise<void> => {
      const before = process.cpuUsage();
      const startedMs = performance.now();
      await read(keys);
      rates[name].push(megabytes / ((performance.now() - startedMs) / 1000));
      const { user, system } = process.cpuUsage(before);
      cpu[name].push((user + system) / 1e6 / (megabytes / 1000));
    };
    const loop = (memory: RecycledMemory, watch?: (piece: Uint8Array) => void): Reader =>
      atATime(fetchers, (key) => plainGet(endpoint, `/${workLocation.bucket}/${key}`, memory, watch));
    let crc = 0;
    const ways: Record<Way, Reader> = {
      loop: loop(none),
      checkedLoop: loop(none, (piece) => {
        crc = crc32(piece, crc);
      }),
      recycledLoop: loop(memory),
      product: atATime(Math.max(prefetchPacks, fetchers), (key) => ready(threads, key)),
      oneThread: atATime(fetchers, (key) => ready(files, key)),
      checkedAfter: atATime(fetchers, async (key) => void decodePack((await store.get(key)).body)),
      collected: atATime(fetchers, async (key) => void decodePack(await collect(key))),
    };
    // Each round begins with another one: whoever comes first meets the others' garbage.
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < WAYS.length; i++) {
        const name = WAYS[(round + i) % WAYS.length] as Way;
        await measure(name, ways[name]);
      }
    }
    const of = `${fetchers} fetcher${fetchers > 1 ? 's' : ''}`;
    const rate = (name: Way, what: string): BenchResult => ({
      metric: `${of}: ${what}`,
      value: median(rates[name]),
      unit: 'MB/s',
    });
    const ratio = (name: Way, to: Way): number =>
      median(rates[name].map((each, i) => each / (rates[to][i] ?? 1)));
    results.push(
      {
        metric: `${of}: packs/s to ready tensors`,
        value: median(rates.product) / (megabytes / PACKS),
        unit: 'packs/s',
      },
      rate('product', `to ready tensors, by ${Math.min(THREADS, fetchers)} of the worker's threads`),
      rate('oneThread', 'the same on one thread, with everything else'),
      rate('checkedAfter', 'into fresh memory, and checked after reading'),
      rate('collected', "with the SDK's own collecting of the body"),
      rate('loop', 'plain GET loop'),
      rate('checkedLoop', "plain GET loop with Node's CRC-32"),
      rate('recycledLoop', 'plain GET loop into memory that goes round'),
      { metric: `${of}: processor time to ready tensors`, value: median(cpu.product), unit: 's/GB' },
      { metric: `${of}: processor time on one thread`, value: median(cpu.oneThread), unit: 's/GB' },
      { metric: `${of}: processor time of the plain loop`, value: median(cpu.loop), unit: 's/GB' },
      atLeast(`${of}: ready tensors / plain GET loop`, ratio('product', 'loop'), 0.85),
      { metric: `${of}: on one thread / plain GET loop`, value: ratio('oneThread', 'loop'), unit: 'ratio' },
      {
        metric: `${of}: plain GET loop with CRC-32 / without`,
        value: ratio('checkedLoop', 'loop'),
        unit: 'ratio',
      },
      {
        metric: `${of}: ready tensors / plain GET loop into memory that goes round`,
        value: ratio('product', 'recycledLoop'),
        unit: 'ratio',
      },
    );
  }
  return results;
}

function newSeries(): Record<Way, number[]> {
  return Object.fromEntries(WAYS.map((way) => [way, []])) as unknown as Record<Way, number[]>;
}

function atATime(inFlight: number, one: (key: string) => Promise<void>): Reader {
  return async (keys) => {
    const todo = [...keys];
    const next = async (): Promise<void> => {
      for (let key = todo.pop(); key !== undefined; key = todo.pop()) await one(key);
    };
    await Promise.all(Array.from({ length: inFlight }, next));
  };
}

/** One GET whose body is read into one buffer, and nothing else. */
function plainGet(
  endpoint: URL,
  path: string,
  memory: RecycledMemory,
  watch?: (piece: Uint8Array) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: endpoint.hostname, port: endpoint.port, path }, (response) => {
      const body = memory.take(Number(response.headers['content-length']));
      let filled = 0;
      response.on('data', (chunk: Buffer) => {
        watch?.(chunk);
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
