import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the health endpoint says. */
export interface Health {
  readonly healthy: boolean;
  readonly [fact: string]: unknown;
}

/** Serves `GET /health`: 200 while healthy, else 503, with the facts as JSON. */
export class HealthServer implements AsyncDisposable {
  readonly port: number;
  readonly #close: () => Promise<void>;

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port;
    this.#close = close;
  }

  static async start(options: { port: number; host: string; health: () => Health }): Promise<HealthServer> {
    const server = createServer((request, response) => {
      if (request.method !== 'GET' || request.url !== '/health') {
        response.writeHead(404).end();
        return;
      }
      const health = options.health();
      response.writeHead(health.healthy ? 200 : 503, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(health)}\n`);
    });
    server.listen(options.port, options.host);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return new HealthServer(port, async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}
