import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An instance metadata service on 127.0.0.1 that insists on tokens, as IMDSv2 does. */
export class FakeInstanceMetadata implements AsyncDisposable {
  readonly endpoint: string;
  /** What it answers by path below /latest/meta-data/; anything else is 404. */
  readonly answers = new Map<string, string>();
  tokensGiven = 0;
  #token = '';
  #stalls = false;
  readonly #close: () => Promise<void>;

  private constructor(endpoint: string, close: () => Promise<void>) {
    this.endpoint = endpoint;
    this.#close = close;
  }

  static async start(): Promise<FakeInstanceMetadata> {
    const server = createServer((request, response) => {
      if (fake.#stalls) return;
      if (request.method === 'PUT' && request.url === '/latest/api/token') {
        const wanted = Number(request.headers['x-aws-ec2-metadata-token-ttl-seconds']);
        if (!(wanted > 0)) return void response.writeHead(400).end();
        fake.#token = `token ${++fake.tokensGiven}`;
        return void response.end(fake.#token);
      }
      if (request.headers['x-aws-ec2-metadata-token'] !== fake.#token) {
        return void response.writeHead(401).end();
      }
      const answer = fake.answers.get((request.url ?? '').replace('/latest/meta-data/', ''));
      if (answer === undefined) response.writeHead(404).end();
      else response.end(answer);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const fake = new FakeInstanceMetadata(`http://127.0.0.1:${port}`, async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });
    return fake;
  }

  /** The token that was given is good no more. */
  expireToken(): void {
    this.#token = 'none';
  }

  stall(): void {
    this.#stalls = true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}
