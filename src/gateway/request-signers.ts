import { awsScopeOf, tencentServiceOf } from '../config/cloud-hosts.ts';
import type { Config, UpstreamConfig } from '../config/config.ts';
import { TemplateError } from '../tokens/template/template.ts';
import { AwsSigV4 } from '../upstream/signing/aws-sigv4.ts';
import { HeaderTemplates } from '../upstream/signing/header-templates.ts';
import {
  type ConfiguredCredentials,
  type RequestSigner,
  SigningError,
} from '../upstream/signing/request-signer.ts';
import { Tc3 } from '../upstream/signing/tc3.ts';
import { given } from './settings.ts';

type SignConfig = NonNullable<UpstreamConfig['sign']>;

/** What signs the requests of an upstream; null: nothing does. */
export function requestSigner(config: Config, upstream: UpstreamConfig, endpoint: URL): RequestSigner | null {
  const { sign, token } = upstream;
  if (sign === null) return null;
  switch (sign.type) {
    case 'aws_sigv4': {
      const found = awsScopeOf(endpoint.hostname);
      const region = sign.region ?? found?.region ?? '';
      return new AwsSigV4({
        region,
        service: sign.service ?? found?.service ?? '',
        credentials: credentialsOf(sign),
      });
    }
    case 'tc3': {
      const { action, version, region } = sign;
      const service = sign.service ?? tencentServiceOf(endpoint.hostname) ?? '';
      return new Tc3({ service, action, version, region, credentials: credentialsOf(sign) });
    }
    case 'headers': {
      const { headers, query, vars } = sign;
      const source = token === null ? undefined : config.tokens[token];
      const extra = source !== undefined && 'extra' in source ? Object.keys(source.extra) : [];
      const chainedNames = source === undefined ? [] : ['token', ...extra];
      try {
        return new HeaderTemplates({ headers, query, vars, chainedNames });
      } catch (error) {
        if (!(error instanceof TemplateError)) throw error;
        throw new SigningError(`upstream "${upstream.name}": sign: ${error.message}`);
      }
    }
  }
}

function credentialsOf(sign: SignConfig): ConfiguredCredentials {
  return given({
    keyId: sign.key_id,
    key: sign.key?.reveal() ?? null,
    sessionToken: sign.session_token?.reveal() ?? null,
  });
}

/** In a few words how the requests of an upstream are signed, for people; null: they are not. */
export function describeSigning({ sign, endpoint, token }: UpstreamConfig): string | null {
  if (sign === null || endpoint === null) return null;
  const { hostname } = new URL(endpoint);
  const from = token === null || sign.type === 'headers' ? '' : `, credentials of token source ${token}`;
  if (sign.type === 'headers') {
    const names = [...Object.keys(sign.headers), ...Object.keys(sign.query)];
    return `templates of ${names.join(', ')}`;
  }
  const found = sign.type === 'aws_sigv4' ? awsScopeOf(hostname) : null;
  const service = sign.service ?? found?.service ?? tencentServiceOf(hostname);
  const scope = [sign.region ?? found?.region ?? null, service].filter((part) => part !== null);
  return `${sign.type} (${scope.join(', ')})${from}`;
}
