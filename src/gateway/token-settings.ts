import type { Config, TokenSourceConfig } from '../config/config.ts';
import type { SourceSettings } from '../tokens/sources/source-factory.ts';
import { given } from './settings.ts';

type Of<Type extends TokenSourceConfig['type']> = Extract<TokenSourceConfig, { readonly type: Type }>;
type Settings<Type extends SourceSettings['type']> = Extract<SourceSettings, { readonly type: Type }>;

/** The configuration of a token source in the terms of `tokens/`. */
export function sourceSettings(
  source: TokenSourceConfig,
  { tokens }: Pick<Config, 'tokens'>,
): SourceSettings {
  switch (source.type) {
    case 'static':
      return { type: 'static', value: source.value };
    case 'env':
      return { type: 'env', name: source.name };
    case 'file':
      return {
        type: 'file',
        path: source.path,
        extra: source.extra,
        ...given({ tokenAt: source.token_at }),
      };
    case 'exec':
      return execSettings(source);
    case 'oauth2':
      return oauth2Settings(source);
    case 'http':
      return { ...httpSettings(source), chainedNames: namesOf(tokens[source.token ?? '']) };
    case 'jwt':
      return jwtSettings(source);
    case 'function':
      return { type: 'function', module: source.module, ...given({ export: source.export }) };
  }
}

function execSettings(source: Of<'exec'>): Settings<'exec'> {
  return {
    type: 'exec',
    command: source.command,
    timeoutMs: source.timeout,
    env: source.env,
    format: source.format,
    extra: source.extra,
    ...given({ cwd: source.cwd, tokenAt: source.token_at, expiresAt: expirySettings(source.expires_at) }),
  };
}

function jwtSettings(source: Of<'jwt'>): Settings<'jwt'> {
  return {
    type: 'jwt',
    alg: source.alg,
    key: source.key,
    header: source.header,
    claims: source.claims,
    vars: source.vars,
    ttlMs: source.ttl,
    ...given({ passphrase: source.passphrase }),
  };
}

function oauth2Settings(source: Of<'oauth2'>): Settings<'oauth2'> {
  return {
    type: 'oauth2',
    tokenUrl: source.token_url,
    grant: source.grant,
    auth: source.auth,
    authEncoding: source.auth_encoding,
    bodyFormat: source.encoding,
    params: source.params,
    headers: source.headers,
    extra: source.extra,
    ...given({
      clientId: source.client_id,
      clientSecret: source.client_secret,
      clientAssertion: assertionSettings(source.client_assertion),
      clientAssertionToken: source.client_assertion_token,
      scope: source.scope,
      username: source.username,
      password: source.password,
      refreshToken: source.refresh_token,
      refreshTokenFile: source.refresh_token_file,
      assertion: assertionSettings(source.assertion),
      assertionToken: source.assertion_token,
      subjectToken: source.subject_token,
      subjectTokenType: source.subject_token_type,
      actorToken: source.actor_token,
      actorTokenType: source.actor_token_type,
      tokenUse: source.token_use,
      tokenField: source.token_field,
      tls: source.tls,
      proxy: source.proxy,
    }),
  };
}

function httpSettings(source: Of<'http'>): Settings<'http'> {
  return {
    type: 'http',
    url: source.url,
    query: source.query,
    headers: source.headers,
    vars: source.vars,
    success: answerSettings(source.success),
    tokenAt: source.token_at,
    extra: source.extra,
    ...(source.denied === null ? {} : { denied: answerSettings(source.denied) }),
    ...given({
      method: source.method,
      bodyJson: source.body_json,
      bodyForm: source.body_form,
      bodyText: source.body_text,
      basic: source.basic,
      token: source.token,
      tokenUse: source.token_use,
      refreshIn: source.refresh_in_at,
      force: source.force as Settings<'http'>['force'] | null,
      expiresAt: expirySettings(source.expires_at),
      tls: source.tls,
      proxy: source.proxy,
    }),
  };
}

/** What a source gives beside its token, by name. */
function namesOf(source: TokenSourceConfig | undefined): readonly string[] {
  return source !== undefined && 'extra' in source ? Object.keys(source.extra) : [];
}

function answerSettings({ status, json }: Of<'http'>['success']): NonNullable<Settings<'http'>['success']> {
  return {
    ...given({ status }),
    json: json as NonNullable<NonNullable<Settings<'http'>['success']>['json']>,
  };
}

function assertionSettings(assertion: Of<'oauth2'>['assertion']) {
  if (assertion === null) return null;
  const { alg, header, claims, ttl } = assertion;
  return {
    alg,
    header,
    claims,
    ttlMs: ttl,
    ...given({ key: assertion.key, passphrase: assertion.passphrase, audience: assertion.audience }),
  };
}

function expirySettings(expiry: Of<'http'>['expires_at']) {
  if (expiry === null) return null;
  const { pointer, as, unit, zone } = expiry;
  const isHeader = pointer?.startsWith('header:') ?? false;
  return {
    ...(pointer === null ? {} : isHeader ? { header: pointer.slice('header:'.length) } : { pointer }),
    ...(as === 'auto' ? {} : { as }),
    ...(unit === 'auto' ? {} : { unit }),
    ...(zone === null ? {} : { zone }),
  };
}
