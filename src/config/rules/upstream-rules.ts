import { Secret } from '../../lib/secret.ts';
import { awsScopeOf, tencentServiceOf } from '../cloud-hosts.ts';
import { type UpstreamConfig, upstreamDefect } from '../config.ts';
import type { PathStep } from '../config-error.ts';
import { didYouMean } from '../load/nearest-key.ts';
import { HEADER_NAME } from '../types/token-types.ts';
import { caution, duplicates, fault, type Rule, type RuleFinding } from './rule.ts';

export const upstreamNames: Rule = ({ config }) => [
  ...duplicates(config.upstreams, 'upstreams', 'this upstream'),
  ...config.upstreams.flatMap(({ name }, index) =>
    // The name is sent in a header and is a label of metrics.
    /^[\x21-\x7e]{1,64}$/.test(name)
      ? []
      : [fault(['upstreams', index, 'name'], 'must be 1 to 64 printable ASCII characters without blanks')],
  ),
];

/** The value of `upstreams[].token` for "no credentials". */
export const NO_TOKEN = 'none';

export const upstreamCredentials: Rule = ({ config, tokenNames, isIncomplete }) =>
  config.upstreams.flatMap((one, index): RuleFinding[] => {
    const path: readonly PathStep[] = ['upstreams', index];
    if (one.sk !== null && one.token !== null)
      return [fault([...path, 'sk'], 'sk and token are both given; remove one')];
    if (one.token !== null && one.token !== NO_TOKEN && !tokenNames.includes(one.token))
      return [
        fault([...path, 'token'], `no source of this name in tokens${didYouMean(one.token, tokenNames)}`),
      ];
    const defect = isIncomplete(...path) ? null : upstreamDefect(one);
    return defect === null ? [] : [caution(path, `invalid, skipped: ${defect}`)];
  });

/** Aliases are tried in their order, exact names first, and each gives the name of one model. */
export const upstreamAliases: Rule = ({ config }) =>
  config.upstreams.flatMap(({ models }, index): RuleFinding[] => {
    const names = Object.keys(models);
    const all = names.findIndex((name) => /^\*+$/.test(name));
    return names.flatMap((name, position): RuleFinding[] => {
      const path: readonly PathStep[] = ['upstreams', index, 'models', name];
      if (models[name]?.includes('*'))
        return [fault(path, 'must be the name of one model; wildcards are for the names that clients use')];
      const isHidden = all !== -1 && position > all && /[*?]/.test(name);
      return isHidden ? [caution(path, `is never used: "${names[all]}" before it matches every name`)] : [];
    });
  });

export const upstreamClients: Rule = ({ config, isIncomplete }) => {
  if (isIncomplete('clients')) return [];
  const names = config.clients.map((client) => client.name);
  return config.upstreams.flatMap((one, index) =>
    (one.clients ?? []).flatMap((name, position) =>
      names.includes(name)
        ? []
        : [
            fault(
              ['upstreams', index, 'clients', position],
              `no client of this name in clients${didYouMean(name, names)}`,
            ),
          ],
    ),
  );
};

/** The endpoint is a base URL without credentials and fragment. */
export const upstreamEndpoints: Rule = ({ config }) =>
  config.upstreams.flatMap((one, index): RuleFinding[] => {
    if (one.endpoint === null) return [];
    const path: readonly PathStep[] = ['upstreams', index, 'endpoint'];
    const { username, password, hash, pathname } = new URL(one.endpoint);
    if (username !== '' || password !== '')
      return [fault(path, 'must not contain credentials; use token, sk or headers')];
    if (hash !== '') return [fault(path, 'must not contain a fragment (#)')];
    if (/\/(chat\/completions|completions|embeddings|rerank)\/*$/.test(pathname))
      return [
        caution(path, 'looks like one path of the API: the endpoint is the base URL, usually up to /v1'),
      ];
    return [];
  });

/** A Replicate upstream has the paths of Replicate's API. */
export const upstreamPaths: Rule = ({ config }) =>
  config.upstreams.flatMap(({ type, paths }, index): RuleFinding[] =>
    type === 'replicate' && Object.values(paths).some((path) => path !== null)
      ? [caution(['upstreams', index, 'paths'], 'has no effect with type: replicate; remove it')]
      : [],
  );

export const upstreamHeaders: Rule = ({ config }) =>
  config.upstreams.flatMap((one: UpstreamConfig, index) =>
    headerFindings(one.headers, ['upstreams', index, 'headers']),
  );

/** `sk` is sent as `Authorization`: with a second one, the server would choose which of the two counts. */
export const upstreamAuthorization: Rule = ({ config }) =>
  config.upstreams.flatMap((one, index): RuleFinding[] => {
    if (one.sk === null) return [];
    const isAuthorization = (name: string): boolean => name.toLowerCase() === 'authorization';
    const forwarded = one.forward_headers.findIndex(isAuthorization);
    const fixed = Object.keys(one.headers).find(isAuthorization);
    return [
      ...(forwarded === -1 ? [] : [fault(['upstreams', index, 'forward_headers', forwarded], SENT_BY_SK)]),
      ...(fixed === undefined ? [] : [fault(['upstreams', index, 'headers', fixed], SENT_BY_SK)]),
    ];
  });

/** What a scheme of signing needs, and what it would overwrite. */
export const upstreamSigning: Rule = ({ config, isIncomplete }) =>
  config.upstreams.flatMap((one, index): RuleFinding[] => {
    const path: readonly PathStep[] = ['upstreams', index];
    const { sign } = one;
    if (sign === null || isIncomplete(...path)) return [];
    if (sign.type === 'headers') {
      const hasAny = Object.keys(sign.headers).length + Object.keys(sign.query).length > 0;
      const names = Object.keys(sign.headers).filter((name) => !HEADER_NAME.test(name));
      return [
        ...(hasAny ? [] : [fault([...path, 'sign'], 'needs headers or query, or a type')]),
        ...names.map((name) => fault([...path, 'sign', 'headers', name], 'is not a valid header name')),
      ];
    }
    const findings: RuleFinding[] = [];
    if (one.sk !== null) findings.push(fault([...path, 'sk'], 'sk and sign are both given; remove one'));
    const isFromSource = one.token !== null && one.token !== NO_TOKEN;
    if (!isFromSource && (sign.key_id === null || sign.key === null))
      findings.push(fault([...path, 'sign'], 'needs key_id and key, or a token source that gives them'));
    const host = one.endpoint === null ? '' : new URL(one.endpoint).hostname;
    const known = sign.type === 'aws_sigv4' ? awsScopeOf(host) : { service: tencentServiceOf(host) };
    if ((sign.service ?? known?.service ?? null) === null)
      findings.push(fault([...path, 'sign'], `needs service: the host ${host} does not name it`));
    if (sign.type === 'aws_sigv4' && sign.region === null && awsScopeOf(host) === null)
      findings.push(fault([...path, 'sign'], `needs region: the host ${host} does not name it`));
    return findings;
  });

const SENT_BY_SK = 'is the header that sk is sent in; remove one';

/** Header names and values must be valid in HTTP, or every request would fail. */
export function headerFindings(
  headers: Readonly<Record<string, string | Secret>>,
  path: readonly PathStep[],
): readonly RuleFinding[] {
  return Object.entries(headers).flatMap(([name, header]): RuleFinding[] => {
    const value = header instanceof Secret ? header.reveal() : header;
    if (!HEADER_NAME.test(name)) return [fault([...path, name], 'is not a valid header name')];
    // Tab, visible ASCII and what Latin-1 has beyond (RFC 9110 field-vchar, obs-text).
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      return [fault([...path, name], 'contains a character that is not allowed in a header')];
    return [];
  });
}

export const hasUpstreams: Rule = ({ config, isIncomplete }) =>
  config.upstreams.length === 0 && !isIncomplete('upstreams')
    ? [caution(['upstreams'], 'no upstreams configured: no request can be served')]
    : [];
