/** The package's entry loads the limiters of a dozen databases; this is its file for the one that is used. */
declare module 'rate-limiter-flexible/lib/RateLimiterMemory.js' {
  import type { RateLimiterMemory } from 'rate-limiter-flexible';

  const limiter: typeof RateLimiterMemory;
  export default limiter;
}
