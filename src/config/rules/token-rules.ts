import type { TokenSourceConfig } from '../config.ts';
import type { PathStep } from '../config-error.ts';
import { didYouMean } from '../load/nearest-key.ts';
import { isLoopback } from '../types/address.ts';
import { caution, fault, type Rule, type RuleFinding } from './rule.ts';
import { headerFindings, NO_TOKEN } from './upstream-rules.ts';

export const tokenNames: Rule = ({ tokenNames: names }) =>
  names.includes(NO_TOKEN)
    ? [fault(['tokens', NO_TOKEN], 'this name means "no credentials"; use another one')]
    : [];

/** The keys of a source that name another one. */
const REFERENCES = [
  'token',
  'client_assertion_token',
  'assertion_token',
  'subject_token',
  'actor_token',
] as const;

/** The other sources whose tokens `source` uses, and the keys that name them. */
export function tokenReferences(
  source: TokenSourceConfig,
): { readonly key: string; readonly name: string }[] {
  if (source.type !== 'http' && source.type !== 'oauth2') return [];
  const texts: Readonly<Record<string, unknown>> = source;
  return REFERENCES.flatMap((key) => {
    const name = texts[key];
    return typeof name === 'string' ? [{ key, name }] : [];
  });
}

/** A key that has no effect mostly means that another one is missing. */
export const tokenUses: Rule = ({ config }) =>
  Object.entries(config.tokens).flatMap(([name, source]) => {
    const isAlone =
      'token_use' in source && source.token_use === 'once' && tokenReferences(source).length === 0;
    return isAlone
      ? [fault(['tokens', name, 'token_use'], 'needs token: the source whose tokens are used')]
      : [];
  });

/** An unused source costs requests to the issuer and is mostly a typing error in `upstreams[].token`. */
export const tokensAreUsed: Rule = ({ config, tokenNames: names, isIncomplete }) => {
  if (isIncomplete('upstreams') || isIncomplete('tokens')) return [];
  const chained = Object.values(config.tokens).flatMap((source) =>
    tokenReferences(source).map(({ name }) => name),
  );
  const used = new Set([...config.upstreams.map((one) => one.token), ...chained]);
  return names
    .filter((name) => !used.has(name))
    .map((name) => caution(['tokens', name], 'is not used by any upstream'));
};

/** Sources may use the tokens of other sources, without cycles. */
export const chainsAreAcyclic: Rule = ({ config, tokenNames: names }) =>
  Object.entries(config.tokens).flatMap(([name, source]) =>
    tokenReferences(source).flatMap(({ key, name: target }): RuleFinding[] => {
      const path: readonly PathStep[] = ['tokens', name, key];
      if (!names.includes(target))
        return [fault(path, `no source of this name in tokens${didYouMean(target, names)}`)];
      return leadsTo(target, name, config.tokens)
        ? [fault(path, 'circular reference: the sources wait for each other')]
        : [];
    }),
  );

function leadsTo(from: string, to: string, tokens: Readonly<Record<string, TokenSourceConfig>>): boolean {
  const seen = new Set<string>();
  const open = [from];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (name === to) return true;
    if (seen.has(name)) continue;
    seen.add(name);
    const source = Object.hasOwn(tokens, name) ? tokens[name] : undefined;
    if (source !== undefined) open.push(...tokenReferences(source).map((reference) => reference.name));
  }
  return false;
}

export const refreshRanges: Rule = ({ config }) =>
  Object.entries(config.tokens).flatMap(([name, source]): RuleFinding[] => {
    const path: readonly PathStep[] = ['tokens', name, 'refresh'];
    const { at, leeway, floor } = source.refresh;
    const [from, to] = at;
    const findings: RuleFinding[] = [];
    if (from > to) findings.push(fault([...path, 'at'], 'must go from the smaller to the larger share'));
    if (floor > leeway) findings.push(fault([...path, 'floor'], 'must not be longer than leeway'));
    return findings;
  });

/** An unused shared database mostly means that `share: shared` is missing from a source. Alerts use it too. */
export const sharedIsUsed: Rule = ({ config, isIncomplete }) =>
  config.shared === null ||
  isIncomplete('tokens') ||
  config.notify.length > 0 ||
  Object.values(config.tokens).some(({ share }) => share === 'shared')
    ? []
    : [
        caution(
          ['shared'],
          'is not used by any source, nor by notify: set share: shared at the sources whose token is shared',
        ),
      ];

/** `share: shared` needs the database that it is shared through. */
export const tokensCanBeShared: Rule = ({ config, isIncomplete }) =>
  config.shared !== null || isIncomplete('shared')
    ? []
    : Object.entries(config.tokens)
        .filter(([, source]) => source.share === 'shared')
        .map(([name]) => fault(['tokens', name, 'share'], 'needs shared: postgres://... and shared_key'));

/** Metadata services of clouds use plain http on a link-local address. */
const METADATA_HOST = /^(?:169\.254\.\d+\.\d+|metadata\.google\.internal)$/;

/** Plain http exposes the credentials to the network. */
export const issuersAreEncrypted: Rule = ({ config }) =>
  Object.entries(config.tokens).flatMap(([name, source]): RuleFinding[] => {
    if (source.type !== 'oauth2' && source.type !== 'http') return [];
    const [key, url] = source.type === 'oauth2' ? ['token_url', source.token_url] : ['url', source.url];
    // A template in the query is no part of what `URL` must understand.
    const { protocol, hostname } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, '');
    if (protocol === 'https:' || isLoopback(host) || METADATA_HOST.test(host)) return [];
    return [caution(['tokens', name, key], 'credentials are sent unencrypted: use https://')];
  });

export const sourcesAreComplete: Rule = ({ config, isIncomplete }) =>
  Object.entries(config.tokens).flatMap(([name, source]) => {
    const path: readonly PathStep[] = ['tokens', name];
    if (isIncomplete(...path)) return [];
    if (source.type === 'oauth2') return oauth2Findings(source, path);
    return source.type === 'http' ? httpFindings(source, path) : [];
  });

type Oauth2 = Extract<TokenSourceConfig, { type: 'oauth2' }>;

/** The keys that each grant and each authentication method requires; of several keys in a row one is enough. */
const NEEDS = {
  client_credentials: [],
  password: [['username'], ['password']],
  refresh_token: [['refresh_token']],
  jwt_bearer: [['assertion', 'assertion_token']],
  token_exchange: [['subject_token']],
  basic: [['client_id'], ['client_secret']],
  post: [['client_id'], ['client_secret']],
  private_key_jwt: [['client_id'], ['client_assertion', 'client_assertion_token']],
  client_secret_jwt: [['client_id'], ['client_secret']],
  mtls: [['client_id'], ['tls']],
  none: [],
} as const satisfies Record<Oauth2['grant'] | Oauth2['auth'], readonly (readonly (keyof Oauth2)[])[]>;

function oauth2Findings(source: Oauth2, path: readonly PathStep[]): readonly RuleFinding[] {
  const missing = (['grant', 'auth'] as const).flatMap((key) =>
    NEEDS[source[key]]
      .filter((keys) => keys.every((one) => source[one] === null))
      .map((keys) => fault(path, `${key}: ${source[key]} needs ${keys.join(' or ')}`)),
  );
  return [...missing, ...headerFindings(source.headers, [...path, 'headers'])];
}

type Http = Extract<TokenSourceConfig, { type: 'http' }>;

function httpFindings(source: Http, path: readonly PathStep[]): readonly RuleFinding[] {
  const bodies = (['body_json', 'body_form', 'body_text'] as const).filter((key) => source[key] !== null);
  const [first, second] = bodies;
  const findings: RuleFinding[] = [...headerFindings(source.headers, [...path, 'headers'])];
  if (second !== undefined)
    findings.push(fault([...path, second], `${first} and ${second} are both given; remove one`));
  const { denied } = source;
  if (denied !== null && denied.status === null && Object.keys(denied.json).length === 0)
    findings.push(
      fault([...path, 'denied'], 'needs status or json, or every response would mean wrong credentials'),
    );
  if (first !== undefined && source.method === 'GET')
    findings.push(fault([...path, first], 'a GET has no body; use query, or another method'));
  return findings;
}
