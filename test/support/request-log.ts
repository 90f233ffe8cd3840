import { LAMBDA_POLLER } from '#local-aws/functions.ts';
import type { Fault, FaultRequest } from '#local-aws/server.ts';

/** In the user agent of a test's own requests, which are not counted. */
export const OBSERVER = 'request-log-observer';

interface Counts {
  count: number;
  retries: number;
  units: number;
}

/** Counts requests by what the server sees of them, with none of the code that is under test. */
export class RequestLog {
  readonly #counts: Record<string, Counts> = {};
  /** Of what polls in Lambda's place. */
  readonly polls: Record<string, number> = {};
  readonly #invocations = new Set<string>();
  readonly faults = new Map<Fault, number>();
  #runs = false;
  #endsWithProof = true;
  #requests = 0;

  begin(options: { endsWithProof: boolean }): void {
    this.#runs = true;
    this.#endsWithProof = options.endsWithProof;
  }

  get counts(): Readonly<Record<string, Counts>> {
    return this.#counts;
  }

  /** Takes a request, and decides its fate. */
  readonly take = (request: FaultRequest, faults: Readonly<Record<string, readonly Fault[]>>): Fault => {
    const { service, invocation, userAgent } = request;
    if (userAgent.includes(OBSERVER) || !this.#runs) return undefined;
    if (userAgent.includes(LAMBDA_POLLER)) {
      this.polls[request.action] = (this.polls[request.action] ?? 0) + 1;
      return undefined;
    }
    const isProof = request.method === 'PUT' && request.url.includes('completion.json');
    if (isProof && this.#endsWithProof) this.#runs = false;
    // What tells the last of it is not disturbed: nobody could tell that.
    const isLast = request.method === 'PUT' && /completion\.json|workers\//.test(request.url);
    const possible = isLast ? [] : (faults[service] ?? []);
    const at = this.#requests++;
    const fault = at % 6 === 4 ? possible[Math.floor(at / 6) % possible.length] : undefined;
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
    const kind = kindOf(request);
    this.#counts[kind] ??= { count: 0, retries: 0, units: 0 };
    const counts = this.#counts[kind];
    counts.count++;
    if (this.#invocations.has(invocation)) counts.retries++;
    this.#invocations.add(invocation);
    // S3 bills nothing for its own faults; no message here has more than 64 KiB.
    if (service === 'sqs' || (fault !== 'slow-down' && fault !== 'internal-error')) counts.units++;
    return fault;
  };
}

function kindOf({ service, action, method, url }: FaultRequest): string {
  if (service === 'sqs') return `sqs:${action}`;
  if (method === 'POST' && /[?&]delete/.test(url)) return 's3:DeleteObjects';
  if (method === 'GET' && /[?&]list-type=2/.test(url)) return 's3:ListObjectsV2';
  const names: Record<string, string> = { GET: 'GetObject', HEAD: 'HeadObject', PUT: 'PutObject' };
  return `s3:${names[method] ?? `${method} ${url}`}`;
}
