import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jsonMembers } from '#adapters/json-members.ts';
import { readPrices } from '#adapters/price-files.ts';
import { refreshPrices } from '#cli/capacity/refresh-prices.ts';
import { type FakeProduct, fakePriceLists } from '#test/support/fake-price-lists.ts';
import { temporaryFolder } from '#test/support/temporary-folder.ts';

const NOW = new Date('2027-02-03T04:05:06Z');

function used(usagetype: string, ...tiers: [string, string][]): FakeProduct {
  return { attributes: { usagetype, servicecode: 'any' }, tiers };
}

function instance(type: string, usd: string, changes: Record<string, string> = {}): FakeProduct {
  const attributes = {
    instanceType: type,
    operatingSystem: 'Linux',
    tenancy: 'Shared',
    capacitystatus: 'Used',
    preInstalledSw: 'NA',
    ...changes,
  };
  return { attributes, tiers: [['0', usd]] };
}

const IRELAND: Record<string, FakeProduct[]> = {
  AWSLambda: [
    used('EU-Lambda-GB-Second', ['7500000000', '0.0000150000'], ['0', '0.0000166667']),
    used('EU-Lambda-GB-Second-ARM', ['0', '0.0000133334']),
    used('EU-Request', ['0', '0.0000002000']),
    used('EU-Lambda-Provisioned-GB-Second', ['0', '0.0000041667']),
  ],
  AWSQueueService: [
    used('EU-Requests-Tier1', ['0', '0.0000000000'], ['1000000', '0.0000004000']),
    used('EU-Requests-FIFO-Tier1', ['0', '0.0000005000']),
  ],
  AmazonS3: [
    used('EU-Requests-Tier1', ['0', '0.0000050000']),
    used('EU-Requests-Tier2', ['0', '0.0000004000']),
    used('EU-TimedStorage-ByteHrs', ['0', '0.0230000000'], ['51200', '0.0220000000']),
    used('EU-TimedStorage-SIA-ByteHrs', ['0', '0.0125000000']),
  ],
  AmazonEC2: [
    instance('g4dn.xlarge', '0.7710000000', { operatingSystem: 'Windows' }),
    instance('g4dn.xlarge', '0.6210000000', { tenancy: 'Dedicated' }),
    instance('g4dn.xlarge', '0.5870000000'),
    instance('g5.xlarge', '1.1230000000'),
    instance('p5.48xlarge', '98.3200000000'),
    used('EU-EBS:VolumeUsage.gp3', ['0', '0.0880000000']),
  ],
  AmazonVPC: [
    used('EU-PublicIPv4:InUseAddress', ['0', '0.0050000000']),
    used('EU-VpcEndpoint-Hours', ['0', '0.0110000000']),
    used('EU-VpcEndpoint-Bytes', ['0', '0.0100000000']),
  ],
  AmazonCloudWatch: [
    used('EU-DataProcessing-Bytes', ['0', '0.5700000000']),
    used('EU-CW:MetricMonitorUsage', ['0', '0.3000000000']),
    used('EU-CW:AlarmMonitorUsage', ['0', '0.1000000000']),
  ],
};

describe('sluice prices refresh', () => {
  it("makes the price file of a new region from AWS's lists", async () => {
    await using lists = await fakePriceLists('eu-west-1', IRELAND);
    await using folder = await temporaryFolder();
    const out = join(folder.path, 'eu-west-1.json');
    const flags = { region: 'eu-west-1', instance: ['g4dn.xlarge'], out, endpoint: lists.endpoint };
    expect(await refreshPrices(flags, NOW)).toBe(0);
    const prices = await readPrices('eu-west-1', out, NOW);
    const lambda = `${lists.endpoint}/offers/v1.0/aws/AWSLambda/current/eu-west-1/index.json`;
    expect(prices.lambda.arm64).toEqual({
      usd: 0.0000133334,
      per: 'GB-second',
      asOf: '2027-02-03',
      source: lambda,
    });
    // The first tier that costs something; Linux on shared hardware; for a million and a thousand requests.
    expect(prices.lambda.x86.usd).toBe(0.0000166667);
    expect(prices.sqs.standard.usd).toBe(0.4);
    expect(prices.s3.put.usd).toBe(0.005);
    expect(prices.s3.storage.usd).toBe(0.023);
    expect(prices.instances).toEqual({
      'g4dn.xlarge': { onDemand: expect.objectContaining({ usd: 0.587, per: 'hour' }) },
    });
    expect(prices.ebs.gp3.usd).toBe(0.088);
    expect(lists.asked).toHaveLength(6);
  });

  it('keeps what no list has: spot prices, other services', async () => {
    const here = Object.fromEntries(
      Object.entries(IRELAND).map(([service, products]) => [
        service,
        products.map(({ attributes, tiers }) => ({
          attributes: { ...attributes, usagetype: (attributes['usagetype'] ?? '').replace(/^EU-/, '') },
          tiers,
        })),
      ]),
    );
    await using lists = await fakePriceLists('us-east-1', here);
    await using folder = await temporaryFolder();
    const out = join(folder.path, 'prices.json');
    const before = await readFile('infra/prices/us-east-1.json', 'utf8');
    const { writeFile } = await import('node:fs/promises');
    await writeFile(out, before);
    await refreshPrices({ region: 'us-east-1', instance: ['g5.xlarge'], out, endpoint: lists.endpoint }, NOW);
    const prices = await readPrices('us-east-1', out, NOW);
    expect(prices.instances['g4dn.xlarge']).toMatchObject({
      onDemand: { usd: 0.587, asOf: '2027-02-03' },
      spot: { usd: 0.19, asOf: '2026' },
    });
    // In the file before, and in no list here.
    expect(prices.instances['g6.xlarge']?.onDemand.asOf).toBe('2026');
    expect(prices.alternatives.rekognitionModeration?.tiers).toHaveLength(4);
  });

  it('says what a new region still lacks, and writes nothing', async () => {
    const { AmazonVPC: _, ...rest } = IRELAND;
    await using lists = await fakePriceLists('eu-west-1', { ...rest, AmazonVPC: [] });
    await using folder = await temporaryFolder();
    const out = join(folder.path, 'x.json');
    const refreshed = refreshPrices(
      { region: 'eu-west-1', instance: ['g4dn.xlarge'], out, endpoint: lists.endpoint },
      NOW,
    );
    await expect(refreshed).rejects.toThrow(/no price file:.*network/s);
    await expect(readFile(out)).rejects.toThrow(/ENOENT/);
  });

  it('says which region has no list', async () => {
    await using lists = await fakePriceLists('eu-west-1', IRELAND);
    const refreshed = refreshPrices(
      { region: 'eu-wast-1', instance: [], out: '/nowhere/x.json', endpoint: lists.endpoint },
      NOW,
    );
    await expect(refreshed).rejects.toThrow(/prices of AWSLambda in "eu-wast-1".*got status 403.*eu-west-1/);
  });
});

describe('the price files of the project', () => {
  it('name the regions there are where one is missing', async () => {
    await expect(readPrices('mars-east-1')).rejects.toThrow(
      /prices of mars-east-1 .*there are prices of us-east-1.*sluice prices refresh --region mars-east-1/,
    );
  });
});

describe('members of a JSON document', () => {
  const document = {
    a: { x: { deep: ['}', '{"', { b: 1 }] }, y: null, 'quoted " {key}': -1.5e3 },
    skipped: [{ a: { x: 'no' } }, 'a', ','],
    ä: { é: { 'ø\n': 'ü' } },
    empty: {},
    last: { x: true },
  };

  it('are found wherever the pieces are cut', async () => {
    const bytes = Buffer.from(JSON.stringify(document, undefined, 1));
    for (const size of [1, 2, 3, 7, 64, 10_000]) {
      const pieces = async function* (): AsyncGenerator<Uint8Array> {
        for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
      };
      const found: unknown[] = [];
      const patterns = [
        ['a', '*'],
        ['ä', 'é', '*'],
        ['empty', '*'],
        ['last', 'x'],
      ];
      for await (const { path, value } of jsonMembers(pieces(), patterns))
        found.push([path.join('/'), value]);
      expect(found).toEqual([
        ['a/x', document.a.x],
        ['a/y', null],
        ['a/quoted " {key}', -1500],
        ['ä/é/ø\n', 'ü'],
        ['last/x', true],
      ]);
    }
  });

  it('of a document that ends too early are an error', async () => {
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('{"a": {"b": 1}, "c');
    };
    const all = async (): Promise<void> => {
      for await (const _ of jsonMembers(pieces(), [['a', '*']]));
    };
    await expect(all()).rejects.toThrow(/ends too early/);
  });
});
