import { FerryError } from '../../lib/errors/ferry-error.ts';
import type { TokenText } from '../../openai/embeddings/token-ids.ts';
import type { ParsedRequest } from '../../openai/request/parsed-request.ts';
import { findRefusedParameter } from '../../openai/request/refused-parameter.ts';
import { type AdaptedRequest, adaptRequest } from '../../openai/request/request-adaptation.ts';
import { findRewrite, REWRITE, refusesStreaming } from '../../openai/request/request-rewrites.ts';
import type { AttemptTimer } from '../../upstream/attempt-timer.ts';
import type { UpstreamCall } from '../../upstream/client.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import type { Attempt } from '../attempt.ts';

/** What differs between the calls of endpoints. */
interface CallParts {
  readonly body: Buffer;
  /** What follows our `/v1`, when it is not what the client asked for: a prompt may have become a chat. */
  readonly path?: string | undefined;
  /** From sending to the headers, and for a whole body to its end; 0 = none. */
  readonly timeoutMs: number;
  /** The attempt's own unless several calls run at once. */
  readonly timer?: AttemptTimer;
}

/** What an endpoint wants of the adaptation beyond the upstream's profile. */
interface Wants {
  readonly usage?: boolean;
  readonly stream?: boolean;
  readonly tokenText?: TokenText | null;
}

/** The client's request as the upstream of this attempt is to get it. */
export function adaptTo(attempt: Attempt, request: ParsedRequest, wants: Wants = {}): AdaptedRequest {
  const { upstream, model } = attempt;
  attempt.learnedDrops = upstream.learnedDrops.get(model);
  return adaptRequest(request, {
    upstreamModel: model,
    profile: upstream.profile,
    wantUsage: wants.usage ?? false,
    learnedDrops: attempt.learnedDrops,
    forceStream: wants.stream ?? false,
    tokenText: wants.tokenText ?? null,
  });
}

/**
 * The parameter that the upstream refused, or the form of the request, when its profile lets us learn to leave it out
 * or to say it in another way; else null. What this attempt had left out already is nothing new to learn; what another
 * request has taught meanwhile is.
 */
export function learnableRefusal(error: FerryError, attempt: Attempt, request: ParsedRequest): string | null {
  const { learnedDrops: avoided, upstream } = attempt;
  if (!upstream.profile.learn) return null;
  const form = findRewrite(error, request, avoided);
  const refused = form ?? findRefusedParameter(error, request);
  if (refused !== null && !avoided.includes(refused)) return refused;
  const isStream = !upstream.profile.alwaysStream && !avoided.includes(REWRITE.streaming);
  return isStream && refusesStreaming(error, request) ? REWRITE.streaming : null;
}

/** The call of one attempt to its own path. */
export function callOf(attempt: Attempt, parts: CallParts): UpstreamCall {
  const { request, bounds } = attempt;
  if (parts.path !== undefined) attempt.path = `/v1${parts.path}`;
  return {
    method: 'POST',
    path: attempt.path.slice('/v1'.length),
    query: request.query,
    model: attempt.model,
    clientHeaders: request.headers,
    body: parts.body,
    isJson: true,
    signal: attempt.signal,
    timer: parts.timer ?? attempt.timer,
    headersTimeoutMs: attempt.within(parts.timeoutMs),
    tokenWaitMs: bounds.tokenWaitMs,
    tokenWaitedMs: bounds.tokenWaitedMs,
  };
}

/**
 * Sends a call and reads its reply. When the reply turns out to refuse the token (in the body of a 200), the token is
 * renewed and the call is sent once more. `read` must not have forwarded anything when it throws.
 */
export async function callAndRead<Result>(
  attempt: Attempt,
  call: UpstreamCall,
  read: (reply: UpstreamResponse) => Promise<Result>,
): Promise<Result> {
  const { client } = attempt.upstream;
  let reply = await client.call(call);
  for (;;) {
    attempt.status = reply.status;
    attempt.isTokenRenewed ||= reply.isReplayed;
    try {
      const result = await read(reply);
      client.reportAccepted(reply);
      attempt.request.log.headersForClient = reply.headers.forClient();
      return result;
    } catch (error) {
      const isRefused = error instanceof FerryError && error.kind === 'auth_rejected';
      const replayed = isRefused ? await client.replay(call, reply) : null;
      reply.body.destroy(error as Error);
      if (replayed === null) throw error;
      reply = replayed;
    }
  }
}

/** Reads a whole body, and throws `auth_rejected` when `reject.body` finds in it that the token is no longer good. */
export async function readWhole(
  attempt: Attempt,
  reply: UpstreamResponse,
  limitBytes: number,
): Promise<Buffer> {
  const body = await reply.body.readAll(limitBytes);
  const { client } = attempt.upstream;
  if (client.hasBodyMatchers && client.rejectsTokenIn(reply, body.toString('utf8')))
    throw refusedInBody(attempt);
  return body;
}

export function refusedInBody(attempt: Attempt): FerryError {
  return new FerryError('auth_rejected', {
    message: `Upstream "${attempt.upstream.name}" refused its token in the body of a 200 answer (tokens.*.reject.body).`,
  });
}
