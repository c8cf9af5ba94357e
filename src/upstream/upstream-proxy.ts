import type { Secret } from '../secret.ts';

/** In place of a URL: HTTP_PROXY, HTTPS_PROXY and NO_PROXY decide. */
const ENVIRONMENT = 'environment';

/** The URL of the proxy on the way to `origin`, credentials included; null: there is none. */
export function proxyOf(
  origin: string,
  setting: Secret | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | null {
  const url = setting?.reveal() ?? '';
  if (url !== ENVIRONMENT) return url === '' ? null : url;
  const value = (name: string): string => env[name.toLowerCase()] || env[name] || '';
  const { protocol, hostname, port } = new URL(origin);
  const isSecure = protocol === 'https:';
  if (isExempt(value('NO_PROXY'), hostname, Number(port) || (isSecure ? 443 : 80))) return null;
  return (isSecure ? value('HTTPS_PROXY') : '') || value('HTTP_PROXY') || null;
}

/** NO_PROXY as curl reads it: names separated by commas or blanks, each with all names below it; `*` is everything. */
function isExempt(list: string, hostname: string, port: number): boolean {
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      const [, name = '', onlyPort] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
      if (onlyPort !== undefined && Number(onlyPort) !== port) return false;
      const suffix = name.replace(/^\*?\./, '');
      return suffix === '*' || hostname === suffix || hostname.endsWith(`.${suffix}`);
    });
}
