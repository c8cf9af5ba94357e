import { configSchema } from '../schema/schema.ts';
import { keysAt } from '../schema/schema-walk.ts';
import { type FileMapping, type FileValue, isMapping, scalarText } from '../types/scalar.ts';

/**
 * The keys of openai-api-route (config.go and structure.go of heimoshuiyu/openai-api-route). All of them are keys
 * of ours too and mean the same. Its `noauth` stands at upstreams only, and as a flag of the command line, but
 * is natural to try at the top.
 */
const ROUTE_KEYS: readonly string[] = [
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
];
const ROUTE_UPSTREAM_KEYS: readonly string[] = [
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
];

/**
 * Whether this is a file of openai-api-route: it has upstreams, and no key, at the top or in an upstream, that
 * only tokenferry knows. A key that neither knows does not decide: it may be a slip in either kind of file.
 */
export function isRouteFile(root: FileMapping): boolean {
  const upstreams: FileValue = root.upstreams;
  if (!Array.isArray(upstreams) || hasOwnKey(root, [], ROUTE_KEYS)) return false;
  return !upstreams.some(
    (one, index) => isMapping(one) && hasOwnKey(one, ['upstreams', index], ROUTE_UPSTREAM_KEYS, root),
  );
}

function hasOwnKey(
  mapping: FileMapping,
  path: readonly (string | number)[],
  routeKeys: readonly string[],
  root = mapping,
): boolean {
  const ours = keysAt(configSchema, root, path).filter((key) => !routeKeys.includes(key));
  return Object.keys(mapping).some((key) => ours.includes(key));
}

/**
 * The file as we would write it. In openai-api-route 0 and the empty text stand for the default, and bodies
 * are recorded always.
 */
export function fromRouteFile(root: FileMapping): FileMapping {
  const isUnset = (value: FileValue): boolean => ['', '0'].includes(scalarText(value) ?? 'set');
  const kept = Object.entries(root).filter(([, value]) => !isUnset(value));
  return { ...Object.fromEntries(kept), record: { content: 'all' } };
}
