import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** EC2 says that it takes the instance away, or that it may do so soon. */
export interface InterruptionNotice {
  readonly kind: 'interruption' | 'rebalance';
  /** When, as EC2 tells it. */
  readonly at: string;
}

export interface InstanceMetadataOptions {
  readonly endpoint?: string;
  readonly timeoutMs?: number;
}

const DEFAULT_ENDPOINT = 'http://169.254.169.254';
const TOKEN_TTL_SECONDS = 21_600;
const TOKEN_TTL_HEADER = 'x-aws-ec2-metadata-token-ttl-seconds';
const TOKEN_HEADER = 'x-aws-ec2-metadata-token';

const SpotAction = z.object({ action: z.string(), time: z.string() });
const Rebalance = z.object({ noticeTime: z.string() });

/**
 * The instance metadata service, by its second version (IMDSv2: a session token before anything else).
 * Sources: "Use IMDSv2", "Spot Instance interruption notices" and "EC2 instance rebalance recommendations" in the EC2
 * user guide.
 */
export class InstanceMetadata {
  readonly #endpoint: string;
  readonly #timeoutMs: number;
  #token: string | undefined;

  constructor({ endpoint = DEFAULT_ENDPOINT, timeoutMs = 1000 }: InstanceMetadataOptions = {}) {
    this.#endpoint = endpoint.replace(/\/$/, '');
    this.#timeoutMs = timeoutMs;
  }

  /** The notice that is out, if there is one. Throws where there is no metadata service, or it does not answer. */
  async interruption(signal?: AbortSignal): Promise<InterruptionNotice | undefined> {
    const action = await this.#json('spot/instance-action', SpotAction, signal);
    if (action !== undefined) return { kind: 'interruption', at: action.time };
    const rebalance = await this.#json('events/recommendations/rebalance', Rebalance, signal);
    return rebalance && { kind: 'rebalance', at: rebalance.noticeTime };
  }

  /** Such as "i-0123456789abcdef0". Throws where there is no metadata service, or it does not answer. */
  async instanceId(signal?: AbortSignal): Promise<string> {
    const response = await this.#get('instance-id', signal);
    if (!response.ok) throw new Error(`instance-id: HTTP ${response.status}`);
    return response.text();
  }

  async #json<T>(path: string, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T | undefined> {
    let response = await this.#get(path, signal);
    // The token ran out: one more try, with a new one.
    if (response.status === 401) {
      this.#token = undefined;
      response = await this.#get(path, signal);
    }
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
    return schema.parse(await response.json());
  }

  async #get(path: string, signal?: AbortSignal): Promise<Response> {
    this.#token ??= await this.#newToken(signal);
    return fetch(`${this.#endpoint}/latest/meta-data/${path}`, {
      headers: { [TOKEN_HEADER]: this.#token },
      signal: this.#within(signal),
    });
  }

  async #newToken(signal?: AbortSignal): Promise<string> {
    const response = await fetch(`${this.#endpoint}/latest/api/token`, {
      method: 'PUT',
      headers: { [TOKEN_TTL_HEADER]: String(TOKEN_TTL_SECONDS) },
      signal: this.#within(signal),
    });
    if (!response.ok) throw new Error(`token: HTTP ${response.status}`);
    return response.text();
  }

  #within(signal: AbortSignal | undefined): AbortSignal {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    return signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  }
}

/** Without a metadata service (a laptop) there is nothing to hear; asking seldom costs nothing. */
const UNREACHABLE_FACTOR = 12;

/**
 * Asks for an interruption notice again and again, and resolves with the first one; with `undefined` when `stop` is
 * aborted. AWS advises to ask every 5 s: a notice comes two minutes ahead.
 *
 * @param options.known a notice that is no news.
 */
export async function watchInterruption(
  metadata: InstanceMetadata,
  { everyMs, stop, known }: { everyMs: number; stop: AbortSignal; known?: InterruptionNotice['kind'] },
): Promise<InterruptionNotice | undefined> {
  while (!stop.aborted) {
    let waitMs = everyMs;
    try {
      const notice = await metadata.interruption(stop);
      if (notice !== undefined && notice.kind !== known) return notice;
    } catch {
      waitMs = everyMs * UNREACHABLE_FACTOR;
    }
    await sleep(waitMs, undefined, { signal: stop, ref: false }).catch(() => undefined);
  }
  return undefined;
}
