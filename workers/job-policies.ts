import { SluiceError } from '#core/error.ts';
import { requestKey } from '#core/job-layout.ts';
import { JobRequest } from '#core/job-request.ts';
import type { Policy } from '#core/policy.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

/** Jobs whose policies are remembered. */
const MAX_KNOWN = 100;

/** The policy of each job: its own, where it was submitted with one, else the pipeline's. */
export class JobPolicies {
  readonly #works: ObjectStore;
  readonly #pipelinePolicy: Policy;
  readonly #known = new Map<string, Promise<Policy>>();

  constructor(works: ObjectStore, pipelinePolicy: Policy) {
    this.#works = works;
    this.#pipelinePolicy = pipelinePolicy;
  }

  of(job: string): Promise<Policy> {
    const known = this.#known.get(job);
    if (known !== undefined) return known;
    const policy = this.#read(job);
    policy.catch(() => this.#known.delete(job));
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(job, policy);
    return policy;
  }

  async #read(job: string): Promise<Policy> {
    try {
      const { body } = await this.#works.get(requestKey(job));
      return JobRequest.parse(JSON.parse(body.toString('utf8'))).policy ?? this.#pipelinePolicy;
    } catch (error) {
      // The live lane's days are nobody's request.
      if (error instanceof SluiceError && error.code === 'object-missing') return this.#pipelinePolicy;
      throw error;
    }
  }
}
