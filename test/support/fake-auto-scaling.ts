import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';

const NAMESPACE = 'http://autoscaling.amazonaws.com/doc/2011-01-01/';

/** EC2 Auto Scaling with one group, on 127.0.0.1, as far as it is used: the Query protocol, in XML. */
export class FakeAutoScaling implements AsyncDisposable {
  readonly client: AutoScalingClient;
  readonly endpoint: string;
  readonly requests: string[] = [];
  /** Who made each of them. */
  readonly userAgents: string[] = [];
  readonly protectedInstances = new Set<string>();
  desired = 0;
  maxSize = 4;
  fails = false;
  readonly #close: () => Promise<void>;

  private constructor(endpoint: string, close: () => Promise<void>) {
    this.endpoint = endpoint;
    this.client = new AutoScalingClient({
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      maxAttempts: 1,
    });
    this.#close = close;
  }

  static async start(group: string): Promise<FakeAutoScaling> {
    const server = createServer(async (request, response) => {
      const asked = new URLSearchParams(await text(request));
      const action = asked.get('Action') ?? '';
      fake.requests.push(action);
      fake.userAgents.push(String(request.headers['user-agent'] ?? ''));
      if (fake.fails) {
        const error = '<Error><Code>AccessDenied</Code><Message>not you</Message></Error>';
        return void response
          .writeHead(403)
          .end(`<ErrorResponse xmlns="${NAMESPACE}">${error}</ErrorResponse>`);
      }
      const known = [...asked.values()].includes(group);
      if (action === 'SetDesiredCapacity' && known) fake.desired = Number(asked.get('DesiredCapacity'));
      if (action === 'SetInstanceProtection' && known) {
        const id = asked.get('InstanceIds.member.1') ?? '';
        if (asked.get('ProtectedFromScaleIn') === 'true') fake.protectedInstances.add(id);
        else fake.protectedInstances.delete(id);
      }
      const member = `<member><AutoScalingGroupName>${group}</AutoScalingGroupName><DesiredCapacity>${fake.desired}</DesiredCapacity><MaxSize>${fake.maxSize}</MaxSize></member>`;
      const result =
        action === 'DescribeAutoScalingGroups' && known
          ? `<AutoScalingGroups>${member}</AutoScalingGroups>`
          : '';
      response.end(
        `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${result}</${action}Result></${action}Response>`,
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const fake = new FakeAutoScaling(`http://127.0.0.1:${port}`, async () => {
      fake.client.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });
    return fake;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}
