import { SluiceError } from '#core/error.ts';
import { requestKey } from '#core/job-layout.ts';
import { JobRequest } from '#core/job-request.ts';
import type { Policy } from '#core/policy.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { PerJob } from './per-job.ts';

/** The policy of each job: its own, where it was submitted with one, else the pipeline's. */
export class JobPolicies {
  readonly #works: ObjectStore;
  readonly #pipelinePolicy: Policy;
  readonly #known = new PerJob((job) => this.#read(job));

  constructor(works: ObjectStore, pipelinePolicy: Policy) {
    this.#works = works;
    this.#pipelinePolicy = pipelinePolicy;
  }

  of(job: string): Promise<Policy> {
    return this.#known.of(job);
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
