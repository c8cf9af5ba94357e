import type { RequestContext } from '../middleware/request-context.ts';

/** The state of the service, for probes and people. */
export interface Readiness {
  /** False while starting and while draining. */
  readonly isReady: boolean;
  readonly phase: 'starting' | 'serving' | 'draining';
  /** What does not work right now, in words; empty when all is well. */
  readonly degraded: readonly string[];
  /** Every token source's state, without secrets. */
  readonly tokens: readonly {
    readonly name: string;
    readonly state: string;
    readonly remaining_seconds: number | null;
  }[];
}

/** `/livez`: the process responds. It never depends on an issuer or an upstream. */
export function sendLive(context: RequestContext): void {
  send(context, 200, { status: 'ok' });
}

/** `/readyz` and `/health`: 503 while starting (some source has had no token yet) and draining, else 200 with what is degraded. */
export function sendReady(context: RequestContext, readiness: Readiness): void {
  const { isReady, phase, degraded, tokens } = readiness;
  send(context, isReady ? 200 : 503, {
    status: isReady ? (degraded.length === 0 ? 'ok' : 'degraded') : phase,
    degraded,
    tokens,
  });
}

function send({ response, id }: RequestContext, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-request-id': id,
  });
  response.end(text);
}
