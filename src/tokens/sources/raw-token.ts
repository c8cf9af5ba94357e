import { type ExpiryHint, resolveExpiry } from '../expiry.ts';
import { type IssuerReply, issuerNowMs } from '../issuer-client.ts';
import type { RawToken } from '../token-source.ts';
import { cleanTokenValue } from '../token-value.ts';
import type { SourceVoice } from './source-voice.ts';
import { tokenProblem } from './token-problem.ts';

/** Everything that a source found out about one token. */
export interface Findings {
  /** The configured place of the token, for messages: `token_at /data/accessToken`. */
  readonly field: string;
  readonly value: unknown;
  readonly hints: readonly ExpiryHint[];
  /** The answer it came with; absent for files, commands and the like, which live by the local clock. */
  readonly reply?: IssuerReply;
  readonly nowWallMs: number;
  readonly refreshInMs?: number | undefined;
  readonly extra?: Readonly<Record<string, string>>;
}

/**
 * The last step of every source: cleans the value, joins the expiry hints. A token that is over already is an
 * error with the reason that is most often behind it.
 */
export function rawToken(voice: SourceVoice, findings: Findings): RawToken {
  const { field, reply, refreshInMs, extra } = findings;
  const value = cleanedValue(voice, findings);
  const nowWallMs = reply === undefined ? findings.nowWallMs : issuerNowMs(reply);
  const { notes, ...expiry } = resolveExpiry(findings.hints, value, nowWallMs);
  if (expiry.expiresAtWallMs !== undefined && expiry.expiresAtWallMs <= nowWallMs) {
    const ago = Math.round((nowWallMs - expiry.expiresAtWallMs) / 1000);
    const whose = reply?.serverDateWallMs === undefined ? "this machine's clock" : "the issuer's clock";
    throw voice.error(field, `gave a token that ended ${ago} s ago by ${whose}`);
  }
  return {
    value,
    ...expiry,
    ...(refreshInMs === undefined || !(refreshInMs > 0) ? {} : { refreshInMs }),
    ...(reply?.serverDateWallMs === undefined ? {} : { serverDateWallMs: reply.serverDateWallMs }),
    ...(extra === undefined ? {} : { extra }),
    ...(notes.length === 0 ? {} : { notes: notes.map((note) => `${voice.name}: ${note}`) }),
  };
}

function cleanedValue(voice: SourceVoice, { field, value }: Findings): string {
  try {
    return cleanTokenValue(value);
  } catch {
    throw voice.error(field, `gave ${tokenProblem(value)}`);
  }
}
