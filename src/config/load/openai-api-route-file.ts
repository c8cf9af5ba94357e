import { type FileMapping, FileScalar, type FileValue, isMapping, scalarText } from '../types/scalar.ts';

/**
 * The keys of openai-api-route (config.go and structure.go of heimoshuiyu/openai-api-route). All of them are keys of
 * tokenferry with the same meaning. Its `noauth` is a key of upstreams and a flag of the command line only, but people
 * also write it at the top.
 */
const ROUTE_KEYS: ReadonlySet<string> = new Set([
  'address',
  'hostname',
  'dbtype',
  'dbaddr',
  'authorization',
  'noauth',
  'timeout',
  'stream_timeout',
  'lb_policy',
  'upstreams',
  'cliconfig',
]);
const ROUTE_UPSTREAM_KEYS: ReadonlySet<string> = new Set([
  'sk',
  'endpoint',
  'timeout',
  'stream_timeout',
  'allow',
  'deny',
  'type',
  'keep_header',
  'authorization',
  'noauth',
  'url',
]);
/** Fields of its structures without a key of their own: its YAML reader accepts them, and it never uses their values. */
const UNUSED_KEYS: ReadonlySet<string> = new Set(['cliconfig', 'url']);
const FLAGS: ReadonlySet<string> = new Set(['keep_header', 'noauth']);
/** Its YAML reader (gopkg.in/yaml.v3) also reads YAML 1.1's words where a boolean is needed. */
const BOOLEANS: Readonly<Record<string, boolean>> = {
  y: true,
  yes: true,
  on: true,
  n: false,
  no: false,
  off: false,
};

/** True for a file of openai-api-route: it has upstreams, and all keys at the top and in upstreams are keys of its. */
export function isRouteFile(root: FileMapping): boolean {
  const upstreams: FileValue = root.upstreams;
  if (!Array.isArray(upstreams)) return false;
  const items: readonly FileValue[] = upstreams;
  return (
    Object.keys(root).every((key) => ROUTE_KEYS.has(key)) &&
    items.every((one) => isMapping(one) && Object.keys(one).every((key) => ROUTE_UPSTREAM_KEYS.has(key)))
  );
}

/** The file in our form: in openai-api-route 0 and the empty text mean the default, and `/v1` of a request is kept. */
export function fromRouteFile(root: FileMapping): FileMapping {
  const { upstreams } = root;
  const items: readonly FileValue[] = Array.isArray(upstreams) ? upstreams : [];
  return { ...ourForm(root), upstreams: items.map((one) => (isMapping(one) ? ourForm(one) : one)) };
}

function ourForm(section: FileMapping): FileMapping {
  const entries = Object.entries(section).filter(
    ([key, value]) => !UNUSED_KEYS.has(key) && !isUnset(key, value),
  );
  return Object.fromEntries(entries.map(([key, value]) => [key, valueFor(key, value)]));
}

function valueFor(key: string, value: FileValue): FileValue {
  if (FLAGS.has(key)) return asFlag(value);
  return key === 'endpoint' ? (routeEndpoint(scalarText(value)) ?? value) : value;
}

/**
 * An endpoint without a path as a base URL: openai-api-route calls the path of the request at the endpoint's host, `/v1`
 * included. Null: it has a path, or is no URL.
 */
export function routeEndpoint(endpoint: string | null): string | null {
  const url = endpoint === null ? null : URL.parse(endpoint);
  const isBare = url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '';
  return isBare ? `${url.origin}/v1` : null;
}

function isUnset(key: string, value: FileValue): boolean {
  const text = scalarText(value);
  return text === '' || (text === '0' && key.endsWith('timeout'));
}

function asFlag(value: FileValue): FileValue {
  const word = scalarText(value)?.toLowerCase() ?? '';
  const flag = Object.hasOwn(BOOLEANS, word) ? BOOLEANS[word] : undefined;
  return flag === undefined ? value : new FileScalar(String(flag), flag, 'file');
}
