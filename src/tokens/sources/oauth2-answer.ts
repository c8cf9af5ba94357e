import type { ExpiryHint } from '../expiry.ts';
import { describeAnswer, readAnswer } from '../issuer-answer.ts';
import type { IssuerReply } from '../issuer-client.ts';
import { codeOf } from '../issuer-refusal.ts';
import { resolvePointer } from '../json-pointer.ts';
import type { RawToken } from '../token-source.ts';
import { rawToken } from './raw-token.ts';
import type { SourceVoice } from './source-voice.ts';

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
    hints: hintsOf(members ?? {}),
    reply,
    nowWallMs: reply.receivedWallMs,
    refreshInMs: Number.isFinite(refreshIn) ? refreshIn * 1000 : undefined,
    ...(extra === undefined ? {} : { extra: extraValues(voice, answer.value, extra) }),
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

/** `expires_in` by the RFC; `expires_on` Azure, `expiration` IBM, `expires_at` many. */
function hintsOf(members: Record<string, unknown>): ExpiryHint[] {
  return [
    { origin: 'expires_in', value: members.expires_in, as: 'relative', unit: 'auto' },
    { origin: 'expires_on', value: members.expires_on, as: 'absolute', unit: 'auto' },
    { origin: 'expires_at', value: members.expires_at, as: 'absolute', unit: 'auto' },
    { origin: 'expiration', value: members.expiration, as: 'absolute', unit: 'auto' },
  ];
}

/** The values that `extra` names; one that is missing is an error, for a placement will need it. */
export function extraValues(
  voice: SourceVoice,
  json: unknown,
  pointers: Readonly<Record<string, string>>,
): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [name, pointer] of Object.entries(pointers)) {
    const { value } = resolvePointer(json, pointer);
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw voice.error(`extra ${name}`, `${pointer} matched no text in the answer`);
    }
    values[name] = String(value);
  }
  return values;
}
