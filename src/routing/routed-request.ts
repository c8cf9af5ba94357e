import type { IncomingHttpHeaders } from 'node:http';
import type { AttemptLog } from './attempt-log.ts';
import type { ClientIdentity } from './client-identity.ts';

/** What routing has to know of a request, whatever its endpoint. */
export interface RoutedRequest {
  /** Normalised: one leading `/v1`, no query. */
  readonly path: string;
  /** The client's query without `?`. */
  readonly query: string;
  /** As the client named it; the path for a request without one. */
  readonly model: string;
  readonly client: ClientIdentity;
  readonly headers: IncomingHttpHeaders;
  /** Aborted with a FerryError when the client leaves or the service ends. */
  readonly signal: AbortSignal;
  /** Monotonic time of arrival. */
  readonly startedMonoMs: number;
  readonly log: AttemptLog;
}
