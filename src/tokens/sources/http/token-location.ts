import { isPointer, resolvePointer } from '../../../lib/json/json-pointer.ts';
import type { ExpiryHint } from '../../expiry/expiry.ts';
import { headerOf, type IssuerReply } from '../../issuer/issuer-client.ts';
import {
  type AnswerBody,
  describeAnswer,
  describeKeys,
  describeValue,
} from '../../issuer/issuer-response.ts';
import type { SourceVoice } from '../source-errors.ts';

/** Finds the token in an answer, or throws an error that says what is there instead. */
export type TokenLocation = (reply: IssuerReply, answer: AnswerBody) => unknown;

/**
 * Reads `token_at`: a JSON pointer, `header:NAME`, `cookie:NAME`, `regex:PATTERN` (its first group, or the whole
 * match), `form:NAME` for form-encoded bodies, or `body`.
 */
export function compileTokenLocation(voice: SourceVoice, tokenAt: string): TokenLocation {
  if (tokenAt === 'body') return (reply, answer) => wholeBody(voice, reply, answer);
  if (tokenAt !== '' && isPointer(tokenAt))
    return (reply, answer) => atPointer(voice, reply, answer, tokenAt);
  const [, kind, rest = ''] = /^(header|cookie|regex|form):(.+)$/s.exec(tokenAt) ?? [];
  const nothing = (what: string) => voice.error(`token_at ${kind}:${kind === 'regex' ? '...' : rest}`, what);
  switch (kind) {
    case 'header':
      return (reply) => {
        const value = headerOf(reply, rest);
        if (value === undefined) throw nothing(`matched nothing; ${headerNames(reply)}`);
        return value;
      };
    case 'cookie':
      return (reply) => {
        const value = cookieOf(reply, rest);
        if (value === undefined) throw nothing(`matched nothing; ${cookieNames(reply)}`);
        return value;
      };
    case 'form':
      return (reply, answer) => {
        const value = new URLSearchParams(reply.body.trim()).get(rest);
        if (value === null)
          throw nothing(`matched nothing; the issuer answered ${describeAnswer(reply, answer)}`);
        return value;
      };
    case 'regex': {
      const pattern = compileRegex(voice, rest);
      return (reply, answer) => {
        const match = pattern.exec(reply.body);
        if (match === null)
          throw nothing(`matched nothing; the issuer answered ${describeAnswer(reply, answer)}`);
        return match[1] ?? match[0];
      };
    }
    default:
      throw voice.error(
        'token_at',
        'is none of /json/pointer, header:NAME, cookie:NAME, regex:PATTERN, form:NAME and body',
        'credentials',
      );
  }
}

/** The value at a pointer of a JSON answer; `field` names the setting in errors. */
export function requireJson(voice: SourceVoice, reply: IssuerReply, answer: AnswerBody): unknown {
  if (answer.kind === 'json') return answer.value;
  throw voice.error('url', `answered ${describeAnswer(reply, answer)}, where JSON was expected`);
}

function atPointer(voice: SourceVoice, reply: IssuerReply, answer: AnswerBody, pointer: string): unknown {
  const json = requireJson(voice, reply, answer);
  const { value, deepest, at } = resolvePointer(json, pointer);
  if (value !== undefined && value !== null) return value;
  const place = at === '' || value === null ? 'the answer' : at;
  const found = value === null ? json : deepest;
  const has =
    typeof found === 'object' && found !== null && !Array.isArray(found)
      ? `${place} has ${describeKeys(found)}`
      : `${place} is ${describeValue(found)}`;
  const what = value === null ? 'is null' : 'matched nothing';
  throw voice.contradiction(`token_at ${pointer}`, reply, json, `${what}; ${has}`);
}

function wholeBody(voice: SourceVoice, reply: IssuerReply, answer: AnswerBody): unknown {
  // A JSON string is a token with quotes; any other JSON, HTML or nothing is none.
  if (answer.kind === 'text' || answer.kind === 'form') return reply.body;
  if (answer.kind === 'json' && (typeof answer.value === 'string' || typeof answer.value === 'number')) {
    return String(answer.value);
  }
  throw voice.error('token_at body', `is no token: the issuer answered ${describeAnswer(reply, answer)}`);
}

function cookieLines(reply: IssuerReply): string[] {
  const lines = reply.headers['set-cookie'] ?? [];
  return Array.isArray(lines) ? lines : [lines];
}

function cookieOf(reply: IssuerReply, name: string): string | undefined {
  return cookieLine(reply, name)
    ?.split(';', 1)[0]
    ?.trim()
    .slice(name.length + 1);
}

function cookieLine(reply: IssuerReply, name: string): string | undefined {
  return cookieLines(reply).find((text) => text.trimStart().startsWith(`${name}=`));
}

/** What a cookie says of its own end (RFC 6265: `Max-Age` counts before `Expires`). */
export function cookieHints(reply: IssuerReply, name: string): ExpiryHint[] {
  const line = cookieLine(reply, name) ?? '';
  const maxAge = /;\s*max-age\s*=\s*(\d+)/i.exec(line)?.[1];
  if (maxAge !== undefined) return [{ origin: 'Max-Age', value: maxAge, as: 'relative', unit: 's' }];
  const expires = /;\s*expires\s*=\s*([^;]+)/i.exec(line)?.[1];
  return expires === undefined ? [] : [{ origin: 'Expires', value: expires, as: 'absolute', unit: 'iso' }];
}

function cookieNames(reply: IssuerReply): string {
  const names = cookieLines(reply).map((line) => line.split('=', 1)[0]?.trim() ?? '');
  return names.length === 0 ? 'the answer sets no cookies' : `the answer sets ${names.join(', ')}`;
}

function headerNames(reply: IssuerReply): string {
  return `the answer has the headers ${Object.keys(reply.headers).sort().join(', ')}`;
}

function compileRegex(voice: SourceVoice, pattern: string): RegExp {
  try {
    return new RegExp(pattern, 's');
  } catch {
    throw voice.error('token_at', 'holds a regular expression that cannot be read', 'credentials');
  }
}
