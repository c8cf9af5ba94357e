import type { TokenSourceConfig } from './config.ts';
import type { PathStep } from './config-error.ts';
import { caution, fault, type Rule, type RuleFinding } from './rule.ts';
import { headerFindings, NO_TOKEN } from './upstream-rules.ts';

export const tokenNames: Rule = ({ tokenNames: names }) =>
  names.includes(NO_TOKEN)
    ? [fault(['tokens', NO_TOKEN], 'this name means "no credentials"; take another one')]
    : [];

/** A source that nobody uses costs calls of the issuer and is mostly a slip in `upstreams[].token`. */
export const tokensAreUsed: Rule = ({ config, tokenNames: names, isIncomplete }) => {
  if (isIncomplete('upstreams')) return [];
  const used = new Set(config.upstreams.map((one) => one.token));
  return names
    .filter((name) => !used.has(name))
    .map((name) => caution(['tokens', name], 'is used by no upstream'));
};

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

export const sourcesAreComplete: Rule = ({ config, isIncomplete }) =>
  Object.entries(config.tokens).flatMap(([name, source]) => {
    const path: readonly PathStep[] = ['tokens', name];
    if (isIncomplete(...path)) return [];
    if (source.type === 'oauth2') return oauth2Findings(source, path);
    return source.type === 'http' ? httpFindings(source, path) : [];
  });

type Oauth2 = Extract<TokenSourceConfig, { type: 'oauth2' }>;

/** What each grant and each way to prove who we are cannot do without. */
function oauth2Findings(source: Oauth2, path: readonly PathStep[]): readonly RuleFinding[] {
  const of: Readonly<Record<string, readonly (readonly (keyof Oauth2)[])[]>> = {
    password: [['username'], ['password']],
    refresh_token: [['refresh_token']],
    jwt_bearer: [['assertion', 'private_key']],
    token_exchange: [['subject_token']],
    basic: [['client_id'], ['client_secret']],
    post: [['client_id'], ['client_secret']],
    private_key_jwt: [['client_id'], ['private_key']],
    client_secret_jwt: [['client_id'], ['client_secret']],
    mtls: [['client_id'], ['tls']],
  };
  const missing = (key: 'grant' | 'auth') =>
    (of[source[key]] ?? [])
      .filter((keys) => keys.every((one) => source[one] === null))
      .map((keys) => fault(path, `${key}: ${source[key]} needs ${keys.join(' or ')}`));
  return [...missing('grant'), ...missing('auth'), ...headerFindings(source.headers, [...path, 'headers'])];
}

type Http = Extract<TokenSourceConfig, { type: 'http' }>;

function httpFindings(source: Http, path: readonly PathStep[]): readonly RuleFinding[] {
  const bodies = (['body_json', 'body_form', 'body_text'] as const).filter((key) => source[key] !== null);
  const [first, second] = bodies;
  const findings: RuleFinding[] = [];
  if (second !== undefined)
    findings.push(fault([...path, second], `${first} and ${second} are both given; leave one out`));
  if (first !== undefined && source.method === 'GET')
    findings.push(fault([...path, first], 'a GET has no body; use query, or another method'));
  return findings;
}
