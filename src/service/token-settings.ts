import type { TokenSourceConfig } from '../config/config.ts';
import type { SourceSettings } from '../tokens/source-factory.ts';

type Of<Type extends TokenSourceConfig['type']> = Extract<TokenSourceConfig, { readonly type: Type }>;

/** The configuration of a token source in the terms of `tokens/`. */
export function sourceSettings(source: TokenSourceConfig): SourceSettings {
  switch (source.type) {
    case 'static':
      return { type: 'static', value: source.value };
    case 'env':
      return { type: 'env', name: source.name };
    case 'file':
      return { type: 'file', path: source.path, ...present({ tokenAt: source.token_at }) };
    case 'oauth2':
      return oauth2Settings(source);
    case 'http':
      return httpSettings(source);
    default:
      throw new Error(`token sources of type ${source.type} are not built yet`);
  }
}

function oauth2Settings(source: Of<'oauth2'>): SourceSettings {
  return {
    type: 'oauth2',
    tokenUrl: source.token_url,
    grant: source.grant,
    auth: source.auth,
    bodyFormat: source.encoding,
    params: source.params,
    headers: source.headers,
    ...present({
      clientId: source.client_id,
      clientSecret: source.client_secret,
      scope: source.scope,
      username: source.username,
      password: source.password,
      refreshToken: source.refresh_token,
      proxy: source.proxy,
      tls: tlsSettings(source.tls),
    }),
  };
}

function httpSettings(source: Of<'http'>): SourceSettings {
  const { success, expires_at: expiresAt } = source;
  return {
    type: 'http',
    url: source.url,
    method: source.method,
    query: source.query,
    headers: source.headers,
    vars: source.vars,
    success: {
      ...present({ status: success.status }),
      json: success.json as Record<string, string | number | boolean | null>,
    },
    tokenAt: source.token_at ?? '/access_token',
    ...present({
      bodyJson: source.body_json as never,
      bodyForm: source.body_form,
      bodyText: source.body_text,
      refreshIn: source.refresh_in_at,
      proxy: source.proxy,
      tls: tlsSettings(source.tls),
    }),
    ...(expiresAt === null ? {} : { expiresAt: expirySettings(expiresAt) }),
  };
}

function expirySettings({ pointer, as, unit }: NonNullable<Of<'http'>['expires_at']>) {
  const isHeader = pointer?.startsWith('header:') ?? false;
  return {
    ...(pointer === null ? {} : isHeader ? { header: pointer.slice('header:'.length) } : { pointer }),
    ...(as === 'auto' ? {} : { as }),
    ...(unit === 'auto' ? {} : { unit }),
  };
}

function tlsSettings(tls: Of<'http'>['tls']) {
  return tls === null
    ? null
    : present({ ca: tls.ca, cert: tls.cert, key: tls.key, servername: tls.servername, min: tls.min });
}

type Present<Fields> = { [Name in keyof Fields]?: NonNullable<Fields[Name]> };

/** Only the fields that are set: absent means "your own default" to a source. */
function present<Fields extends object>(fields: Fields): Present<Fields> {
  const set: Partial<Record<string, unknown>> = {};
  for (const [name, value] of Object.entries(fields))
    if (value !== null && value !== undefined) set[name] = value;
  return set as Present<Fields>;
}
