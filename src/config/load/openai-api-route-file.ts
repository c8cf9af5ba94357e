import { type FileMapping, type FileValue, isMapping, scalarText } from '../types/scalar.ts';

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
]);

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

/** The file in our form: in openai-api-route 0 and the empty text mean the default. */
export function fromRouteFile(root: FileMapping): FileMapping {
  const isUnset = (value: FileValue): boolean => ['', '0'].includes(scalarText(value) ?? 'set');
  return Object.fromEntries(Object.entries(root).filter(([, value]) => !isUnset(value)));
}
