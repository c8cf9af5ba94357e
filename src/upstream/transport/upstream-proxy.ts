import { environmentProxy } from '../../lib/net/environment-proxy.ts';
import type { Secret } from '../../lib/secret.ts';

/** In place of a URL: HTTP_PROXY, HTTPS_PROXY and NO_PROXY decide. */
const ENVIRONMENT = 'environment';

/** The URL of the proxy on the way to `origin`, credentials included; null: there is none. */
export function proxyOf(
  origin: string,
  setting: Secret | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | null {
  const url = setting?.reveal() ?? '';
  if (url === ENVIRONMENT) return environmentProxy(origin, env);
  return url === '' ? null : url;
}
