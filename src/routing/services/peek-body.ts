import type { ErrorContext } from '../../openai/errors/upstream-error.ts';
import { isClearlyBinary, SHAPE_BYTES } from '../../openai/response-shape.ts';
import type { UpstreamResponse } from '../../upstream/response.ts';
import type { ResponseBody } from '../../upstream/transport/body.ts';
import type { Attempt } from '../attempt.ts';
import { type AttemptPolicy, namesOf } from './attempt-policy.ts';
import { refusedInBody } from './upstream-call.ts';

/** Enough of a body to tell its shape; a sound does so with its first bytes, however few. */
export async function firstBytes(body: ResponseBody): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < SHAPE_BYTES && !isClearlyBinary(head)) {
    const chunk = await body.next();
    if (chunk === null) break;
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
  }
  return head;
}

/** Throws `auth_rejected` when `reject.body` finds in a body or an event that the token is no longer good. */
export function refuseBadToken(attempt: Attempt, reply: UpstreamResponse, said: Buffer | string): void {
  const { client } = attempt.upstream;
  if (client.hasBodyMatchers && client.rejectsTokenIn(reply, said.toString())) throw refusedInBody(attempt);
}

/** What an error in a 200 of this attempt is read against. */
export function contextOf(attempt: Attempt, reply: UpstreamResponse, settings: AttemptPolicy): ErrorContext {
  return {
    ...namesOf(attempt),
    scrub: settings.scrub,
    isRetryable: settings.isRetryable,
    headers: (name) => reply.headers.get(name) ?? undefined,
  };
}
