import { resolvePointer } from '../../../lib/json/json-pointer.ts';
import type { IssuerReply } from '../../issuer/issuer-client.ts';
import { codeOf } from '../../issuer/issuer-refusal.ts';
import { describeAnswer, readAnswer } from '../../issuer/issuer-response.ts';
import { extraValues } from '../extra-values.ts';
import { usualHints } from '../http/usual-hints.ts';
import { rawToken } from '../raw-token.ts';
import type { SourceVoice } from '../source-errors.ts';
import type { RawToken } from '../token-source.ts';

/**
 * Reads a token endpoint's answer, more patiently than the RFC: any 2xx, `token_type` may be missing, expiry in
 * every member that is known to hold one. Throws a `TokenSourceError` for everything without a token.
 */
export function readOAuth2Answer(
  voice: SourceVoice,
  reply: IssuerReply,
  tokenField: string,
  extra: Readonly<Record<string, string>> | undefined,
): RawToken {
  if (reply.status < 200 || reply.status > 299) throw voice.refusal('token_url', reply);
  const answer = readAnswer(reply);
  const isReadable = answer.kind === 'json' || answer.kind === 'form';
  if (!isReadable) {
    throw voice.error('token_url', `answered ${describeAnswer(reply, answer)}, where JSON was expected`);
  }
  const members = answer.value as Record<string, unknown> | null;
  const value = typeof members === 'object' ? members?.[tokenField] : undefined;
  if (value === undefined || value === null) {
    const what = `answered ${describeAnswer(reply, answer)}, where ${tokenField} was expected`;
    throw voice.contradiction('token_url', reply, answer.value, what);
  }
  const refreshIn = Number(members?.refresh_in);
  return rawToken(voice, {
    field: `token_url's ${tokenField}`,
    value,
    hints: usualHints(members),
    reply,
    nowWallMs: reply.receivedWallMs,
    refreshInMs: Number.isFinite(refreshIn) ? refreshIn * 1000 : undefined,
    ...extraValues(voice, answer.value, extra),
  });
}

/** The refresh token of a success, whatever else is wrong with it: a rotated one must not be lost. */
export function refreshTokenOf(reply: IssuerReply): string | undefined {
  const answer = readAnswer(reply);
  if (reply.status < 200 || reply.status > 299 || answer.kind !== 'json') return undefined;
  const { value } = resolvePointer(answer.value, '/refresh_token');
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Whether the server says that the grant itself (a refresh token) is no longer good. */
export function isInvalidGrant(reply: IssuerReply): boolean {
  const answer = readAnswer(reply);
  return answer.kind === 'json' && codeOf(answer.value) === 'invalid_grant';
}
