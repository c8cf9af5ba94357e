const STATEFUL =
  /^\/v1\/(?:files|batches|uploads|threads|assistants|vector_stores|fine_tuning|containers|conversations|evals|videos)(?:\/|$)|^\/v1\/responses\/./;
const GENERATIONS = /^\/v1\/(?:responses|moderations|images\/[a-z]+|audio\/[a-z]+)$/;

/** Paths with a memory at one upstream: asking another one for them makes no sense. */
export function isStateful(path: string): boolean {
  return STATEFUL.test(path);
}

/** Paths that make something new from what is sent, so that another upstream may be asked after a failure. */
export function isGeneration(path: string): boolean {
  return GENERATIONS.test(path);
}

/** Whether events of this path are those of the Responses API. */
export function tellsResponses(path: string): boolean {
  return /^\/v1\/responses(?:\/|$)/.test(path);
}
