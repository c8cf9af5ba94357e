import { Secret } from '../../lib/secret.ts';
import { settingsKey } from '../../lib/settings-key.ts';
import type { Config, TokenSourceConfig } from '../config.ts';
import { formatPath, type PathStep } from '../config-error.ts';
import { isCredentialName } from './config-secrets.ts';

/** A `${...}` of the configuration file: the key that it is in, and where its value comes from. */
interface Reference {
  readonly path: readonly PathStep[];
  /** `CORP_SECRET in the environment`, `CORP_SECRET in .env`, `file /run/secrets/llm`. */
  readonly origin: string;
}

/** Keys of a token source whose values open nothing. */
const PLAIN_KEYS: ReadonlySet<PathStep | undefined> = new Set([
  'type',
  'token_url',
  'scope',
  'proxy',
  'tls',
  'place',
  'expires_at',
  'extra',
  'success',
  'denied',
]);

/**
 * For each token source the keys that hold its credentials, with where their values come from:
 * `tokens.corp.client_secret (CORP_SECRET in .env)`. No values.
 */
export function credentialKeys(
  config: Config,
  references: readonly Reference[],
): ReadonlyMap<string, readonly string[]> {
  const keys = Object.entries(config.tokens).map(([name, source]) => {
    const paths = [...secretPaths(source)].map((path) => ['tokens', name, ...path]);
    const origins = new Map<string, string[]>(paths.map((path) => [formatPath(path), []]));
    for (const { path, origin } of references) {
      if (path[0] !== 'tokens' || path[1] !== name || PLAIN_KEYS.has(path[2])) continue;
      const key = formatPath(path);
      origins.set(key, [...(origins.get(key) ?? []), origin]);
    }
    return [name, Array.from(origins, ([key, from]) => described(key, from))] as const;
  });
  return new Map(keys);
}

/** What names an account, and so whose tokens these are, also where it comes from a variable. */
const ACCOUNT_NAME = /(?:^|[_-])(?:id|user(?:_?name)?|account)$|[a-z]Id$|^user/i;
const SECRET_WORD = /secret|key/i;
/** How and when a token is obtained, read and used, and not whose it is. */
const MANNER_KEYS = [
  'auth',
  'auth_encoding',
  'default_ttl',
  'denied',
  'encoding',
  'expires_at',
  'place',
  'proxy',
  'refresh',
  'refresh_in_at',
  'reject',
  'success',
  'timeout',
  'tls',
];
const HIDDEN = '';

/**
 * For each token source a key of everything but its credentials: equal when only a secret was replaced, so that a token of
 * the same account of the same issuer, which was obtained before, is still one of this source.
 */
export function sourceIdentities(
  config: Config,
  references: readonly Reference[],
): ReadonlyMap<string, string> {
  const identities = Object.entries(config.tokens).map(([name, source]) => {
    const hidden = new Set([...secretPaths(source)].map(formatPath));
    for (const { path } of references) {
      const last = String(path.at(-1));
      const isAccount = ACCOUNT_NAME.test(last) && !SECRET_WORD.test(last);
      const isHidden = path[0] === 'tokens' && path[1] === name && !PLAIN_KEYS.has(path[2]);
      if (isHidden && !isAccount && path[2] !== 'url') hidden.add(formatPath(path.slice(2)));
    }
    for (const key of MANNER_KEYS) hidden.add(key);
    return [name, settingsKey(without(source, hidden, []))] as const;
  });
  return new Map(identities);
}

function without(value: unknown, hidden: ReadonlySet<string>, path: readonly PathStep[]): unknown {
  if (hidden.has(formatPath(path))) return HIDDEN;
  if (typeof value !== 'object' || value === null || value instanceof Secret || value instanceof RegExp)
    return value;
  if (Array.isArray(value)) return value.map((item, index) => without(item, hidden, [...path, index]));
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, without(child, hidden, [...path, key])]),
  );
}

function described(key: string, origins: readonly string[]): string {
  return origins.length === 0 ? key : `${key} (${origins.join(', ')})`;
}

/** Keys with names of the user's choice: there a name can mean a credential. */
const FREE_KEYS: ReadonlySet<string> = new Set([
  'headers',
  'query',
  'params',
  'body_json',
  'body_form',
  'vars',
  'env',
]);

/** Secrets, and texts under names that mean credentials. */
function* secretPaths(source: TokenSourceConfig): Generator<PathStep[]> {
  for (const [key, value] of Object.entries(source)) {
    if (PLAIN_KEYS.has(key)) continue;
    for (const path of secretsIn(value, FREE_KEYS.has(key) ? isCredentialName : () => false))
      yield [key, ...path];
  }
}

function* secretsIn(
  value: unknown,
  isNamed: (name: string) => boolean,
  name: string | null = null,
): Generator<PathStep[]> {
  // A template names a variable, whose own key is listed.
  const isLiteral = typeof value === 'string' && value !== '' && !value.includes('{{');
  if (value instanceof Secret || (isLiteral && name !== null && isNamed(name))) yield [];
  else if (typeof value === 'object' && value !== null) {
    for (const [key, child] of Object.entries(value))
      for (const path of secretsIn(child, isNamed, key)) yield [key, ...path];
  }
}
