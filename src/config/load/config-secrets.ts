import { Secret } from '../../lib/secret.ts';
import type { Config } from '../config.ts';

/** Header names whose value is a credential, also when it is written in the file itself. */
const CREDENTIAL_NAME = /auth|cookie|token|secret|password|api-?key|credential/i;

/** Whether a header, parameter or member of this name holds a credential. */
export function isCredentialName(name: string): boolean {
  return CREDENTIAL_NAME.test(name);
}

/**
 * Everything in the configuration that must never be printed: each secret field, the passwords inside URLs and
 * connection strings, headers and parameters whose name means credentials, and `interpolated`,
 * what the environment and files put in.
 */
export function secretsOf(config: Config, interpolated: Iterable<string>): Secret[] {
  const values = new Set<string>(interpolated);
  collect(config, values);
  for (const value of [...values]) for (const password of passwordsIn(value)) values.add(password);
  for (const { url } of config.notify) for (const part of secretParts(url)) values.add(part);
  for (const headers of mappingsOf(config)) {
    for (const [name, value] of Object.entries(headers))
      if (typeof value === 'string' && isCredentialName(name)) values.add(value);
  }
  for (const source of Object.values(config.tokens)) {
    if (source.type !== 'http' && source.type !== 'jwt') continue;
    for (const value of Object.values(source.vars)) if (typeof value === 'string') values.add(value);
  }
  values.delete('');
  return [...values].map((value) => new Secret(value));
}

function collect(value: unknown, into: Set<string>): void {
  if (value instanceof Secret) into.add(value.reveal());
  else if (typeof value === 'string') for (const password of passwordsIn(value)) into.add(password);
  else if (typeof value === 'object' && value !== null)
    for (const one of Object.values(value)) collect(one, into);
}

/** The mappings of free text that may hold credentials under names of the user's choice. */
function mappingsOf(config: Config): Readonly<Record<string, string | Secret | readonly string[]>>[] {
  const upstreams = config.upstreams.flatMap((one) => [one.headers, one.query]);
  const sources = Object.values(config.tokens).flatMap((source) => {
    if (source.type === 'http') return [source.headers, source.query, source.body_form ?? {}];
    if (source.type === 'oauth2') return [source.headers, source.params];
    return source.type === 'exec' ? [source.env] : [];
  });
  const channels = config.notify.map(({ headers }) => headers);
  return [...upstreams, ...sources, ...channels];
}

/** Shorter parts of a webhook's path are words of its API. */
const MIN_KEY_CHARS = 16;

/** The keys within the URL of a webhook: the long parts of its path and the values of its query. */
function secretParts(url: Secret | null): string[] {
  if (url === null) return [];
  const { pathname, searchParams } = new URL(url.reveal());
  return [
    ...pathname.split('/').filter((part) => part.length >= MIN_KEY_CHARS),
    ...[...searchParams.values()].filter((value) => value.length >= MIN_KEY_CHARS),
  ];
}

/** The password of a URL, as written and decoded, and of a libpq keyword string. */
function passwordsIn(text: string): string[] {
  if (URL.canParse(text)) {
    const { password } = new URL(text);
    return password === '' ? [] : [password, decode(password)];
  }
  const match = /(?:^|\s)password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))/.exec(text);
  const found = match?.[1] ?? match?.[2];
  return found === undefined ? [] : [found];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
