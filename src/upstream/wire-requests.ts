import { FerryError } from '../lib/errors/ferry-error.ts';
import type { Lease, OutgoingRequest } from '../tokens/manager/lease.ts';
import { PlacementError } from '../tokens/placement/placement.ts';
import { type HeaderSettings, RequestHeaders } from './headers.ts';
import type { WireRequest } from './transport/exchange.ts';
import type { UpstreamCall } from './upstream-call.ts';
import type { UpstreamCredentials } from './upstream-credentials.ts';
import { type PathSettings, UpstreamPaths } from './url.ts';

export interface WireSettings {
  /** The upstream's configured name, for errors. */
  readonly name: string;
  readonly paths: PathSettings;
  readonly headers: HeaderSettings;
  readonly credentials: UpstreamCredentials;
}

/** Makes what goes on the wire to one upstream: its path and headers, prepared once, and the credentials in their place. */
export class WireRequests {
  readonly #name: string;
  readonly #credentials: UpstreamCredentials;
  readonly #paths: UpstreamPaths;
  readonly #headers: RequestHeaders;

  constructor(settings: WireSettings) {
    this.#name = settings.name;
    this.#credentials = settings.credentials;
    this.#paths = new UpstreamPaths(settings.paths);
    this.#headers = new RequestHeaders(settings.headers);
  }

  /** `lease` is null for upstreams without tokens. Throws `FerryError` when the token has no place in this request. */
  make(call: UpstreamCall, lease: Lease | null): WireRequest {
    const headers = this.#headers.build(call.clientHeaders);
    if (typeof call.streamBytes === 'number') headers.push('content-length', String(call.streamBytes));
    const credentials = this.#credentials;
    if (credentials.kind === 'key')
      headers.push('authorization', `${credentials.scheme} ${credentials.key.reveal()}`);
    else if (credentials.kind === 'as_is' && call.clientHeaders.authorization !== undefined) {
      headers.push('authorization', call.clientHeaders.authorization);
    }
    const path = this.#paths.build(call.path, call.query, call.model);
    if (lease === null) return { method: call.method, path, headers, body: call.body };
    const isBuffered = call.body === null || Buffer.isBuffer(call.body);
    const outgoing: OutgoingRequest = {
      path,
      headers,
      body: isBuffered ? (call.body as Buffer | null) : null,
      isJson: call.isJson && isBuffered,
    };
    this.#place(lease, outgoing);
    return {
      method: call.method,
      path: outgoing.path,
      headers: outgoing.headers,
      body: isBuffered ? outgoing.body : call.body,
    };
  }

  #place(lease: Lease, request: OutgoingRequest): void {
    try {
      lease.apply(request);
    } catch (error) {
      if (!(error instanceof PlacementError)) throw error;
      throw new FerryError('upstream_misconfigured', {
        message: `The token for upstream "${this.#name}" cannot be placed into this request: ${error.message}`,
        cause: error,
      });
    }
  }
}
