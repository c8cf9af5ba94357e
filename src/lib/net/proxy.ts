import { isIP } from 'node:net';
import { Secret } from '../secret.ts';
import { NetworkSet } from './network-set.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** A variable that should contain the URL of a proxy and does not; its value may contain a password and is not quoted. */
export class ProxyVariableError extends Error {
  readonly code = 'PROXY_VARIABLE';

  constructor(variable: string) {
    super(`the environment variable ${variable} is no URL of a proxy such as http://proxy.corp.example:3128`);
    this.name = 'ProxyVariableError';
  }
}

/** A `proxy` setting: the URL of an HTTP CONNECT proxy, credentials in it included, or `environment`. */
export type ProxySetting = string | Secret;

/** In place of a URL: HTTP_PROXY, HTTPS_PROXY and NO_PROXY decide. */
const ENVIRONMENT = 'environment';

/** The URL of a setting that names one proxy for every host; null: there is none, or it depends on the host. */
export function fixedProxy(setting: ProxySetting | undefined): string | null {
  const url = setting instanceof Secret ? setting.reveal() : (setting ?? '');
  return url === '' || url === ENVIRONMENT ? null : url;
}

/**
 * The URL of the proxy on the way to `url`, credentials included; null: there is none. Throws `ProxyVariableError`.
 */
export function proxyFor(
  url: string | URL,
  setting: ProxySetting | undefined,
  env: Environment,
): string | null {
  const isByEnvironment = (setting instanceof Secret ? setting.reveal() : setting) === ENVIRONMENT;
  return isByEnvironment ? environmentProxy(url, env) : fixedProxy(setting);
}

/**
 * The URL of the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for `url`, credentials included; null: there is
 * none. Small letters win, HTTP_PROXY serves https:// as well when HTTPS_PROXY is empty, as clients commonly read them.
 * Throws `ProxyVariableError`.
 */
function environmentProxy(url: string | URL, env: Environment): string | null {
  const { protocol, hostname, port } = new URL(url);
  const isSecure = protocol === 'https:';
  const target = { hostname, port: Number(port) || (isSecure ? 443 : 80) };
  if (isExemptFromProxy(target, variable(env, 'NO_PROXY'))) return null;
  const name = isSecure && variable(env, 'HTTPS_PROXY') !== '' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const value = variable(env, name);
  return value === '' ? null : proxyUrl(name, value);
}

function variable(env: Environment, name: string): string {
  return env[name.toLowerCase()] || env[name] || '';
}

/** `proxy.corp.example:3128` is as common as the whole URL. */
function proxyUrl(name: string, value: string): string {
  const url = value.includes('://') ? value : `http://${value}`;
  if (!/^https?:/i.test(url) || !URL.canParse(url)) throw new ProxyVariableError(name);
  return url;
}

/** A hostname as `URL` spells it: IPv6 in brackets. */
interface Target {
  readonly hostname: string;
  readonly port: number;
}

/**
 * Whether the list `noProxy` names `target`. Entries are separated by commas or blanks: `corp.example` and
 * `.corp.example` (that host and all below it), `*.corp.example` (all below it), an address, a network (`10.0.0.0/8`),
 * each with `:port` to mean that port only, IPv6 then in brackets; `*` is everything. Addresses and networks are compared
 * with addresses: no name is resolved for them. There is no standard; this is the union of what curl, Go and undici read.
 */
function isExemptFromProxy(target: Target, noProxy: string): boolean {
  const host = bare(target.hostname.toLowerCase());
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      const { name, port } = split(entry);
      return (port === null || port === target.port) && covers(name, host);
    });
}

/** `host:443`, `[::1]:443`, `[::1]`, `::1`: the colons of an address without brackets are its own. */
function split(entry: string): { readonly name: string; readonly port: number | null } {
  const [, name = entry, port] = /^(\[.+\]|[^:]*):(\d+)$/.exec(entry) ?? [];
  return { name: bare(name), port: port === undefined ? null : Number(port) };
}

/** Without the brackets of IPv6, also around the address of a network, and without the dot of a fully qualified name. */
function bare(name: string): string {
  return name.replace(/^\[(.+?)\]/, '$1').replace(/(?<=.)\.$/, '');
}

function covers(name: string, host: string): boolean {
  if (name === '*') return true;
  const networks = new NetworkSet();
  if (networks.add(name)) return networks.has(host);
  if (name.startsWith('*.')) return host.endsWith(name.slice(1));
  // `0.0.1` is no domain that 127.0.0.1 lies below.
  if (isIP(host) !== 0) return false;
  const domain = name.replace(/^\./, '');
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}
