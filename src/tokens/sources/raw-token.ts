import { type Expiry, type ExpiryHint, resolveExpiry } from '../expiry/expiry.ts';
import { cleanTokenValue } from '../expiry/token-value.ts';
import { type IssuerReply, issuerNowMs } from '../issuer/issuer-client.ts';
import type { SourceVoice } from './source-errors.ts';
import { tokenProblem } from './token-problem.ts';
import type { RawToken } from './token-source.ts';

/** Everything that a source found out about one token. */
interface Findings {
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
  const { field, refreshInMs, extra } = findings;
  const value = cleanedValue(voice, findings);
  const reply = withBelievedDate(findings, value);
  const nowWallMs = reply === undefined ? findings.nowWallMs : issuerNowMs(reply);
  const { notes: hintNotes, ...expiry } = resolveExpiry(findings.hints, value, nowWallMs);
  if (isOver(expiry, nowWallMs)) {
    const ago = Math.round((nowWallMs - (expiry.expiresAtWallMs ?? nowWallMs)) / 1000);
    const whose = reply?.serverDateWallMs === undefined ? "this machine's clock" : "the issuer's clock";
    throw voice.error(field, `gave a token that ended ${ago} s ago by ${whose}`);
  }
  const isDateDoubted = reply !== findings.reply;
  const notes = isDateDoubted ? [...hintNotes, DOUBTED_DATE] : hintNotes;
  return {
    value,
    ...expiry,
    ...(refreshInMs === undefined || !(refreshInMs > 0) ? {} : { refreshInMs }),
    ...(reply?.serverDateWallMs === undefined ? {} : { serverDateWallMs: reply.serverDateWallMs }),
    ...(extra === undefined ? {} : { extra }),
    ...(notes.length === 0 ? {} : { notes: notes.map((note) => `${voice.name}: ${note}`) }),
  };
}

const DOUBTED_DATE =
  "by the issuer's Date header the token has ended already: this machine's clock is taken instead";

/**
 * The answer without its `Date` when that makes a new token one that has ended, and our own clock does not: then the
 * header is what is wrong (a proxy's, a cached answer's), for an issuer's own would agree with its token.
 */
function withBelievedDate({ reply, hints }: Findings, value: string): IssuerReply | undefined {
  if (reply?.serverDateWallMs === undefined) return reply;
  const { serverDateWallMs, ...withoutDate } = reply;
  if (!isOver(resolveExpiry(hints, value, serverDateWallMs), serverDateWallMs)) return reply;
  return isOver(resolveExpiry(hints, value, reply.receivedWallMs), reply.receivedWallMs)
    ? reply
    : withoutDate;
}

function isOver({ expiresAtWallMs }: Pick<Expiry, 'expiresAtWallMs'>, nowWallMs: number): boolean {
  return expiresAtWallMs !== undefined && expiresAtWallMs <= nowWallMs;
}

function cleanedValue(voice: SourceVoice, { field, value }: Findings): string {
  try {
    return cleanTokenValue(value);
  } catch {
    throw voice.error(field, `gave ${tokenProblem(value)}`);
  }
}
