const LIVE_JOB = /^live-\d{4}-\d{2}-\d{2}$/;

/** The job that the live lane's images of a day (UTC) belong to. */
export function liveJob(at: string): string {
  return `live-${at.slice(0, 10)}`;
}

/** Whether a job is a day of the live lane. */
export function isLiveJob(job: string): boolean {
  return LIVE_JOB.test(job);
}

/** The day of such a job, e.g. 2026-11-19. */
export function dayOf(job: string): string {
  return job.slice('live-'.length);
}

/** When an object appeared, as its event tells; where the event does not, now. */
export function eventTime(told: string, nowMs = Date.now()): string {
  const atMs = Date.parse(told);
  return new Date(Number.isNaN(atMs) ? nowMs : atMs).toISOString();
}
