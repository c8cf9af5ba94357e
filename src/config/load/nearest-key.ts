import { nearestWord } from '../../lib/text/nearest-word.ts';

/** Keys of other products → the key here. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    api_key: 'sk',
    apikey: 'sk',
    secret_key: 'sk',
    base_url: 'endpoint',
    baseurl: 'endpoint',
    api_base: 'endpoint',
    url: 'endpoint',
    base: 'endpoint',
    token_endpoint: 'token_url',
    insecure: 'tls',
    verify: 'tls',
    verify_ssl: 'tls',
    ssl_verify: 'tls',
    insecure_skip_verify: 'tls',
    cacert: 'ca',
    ca_cert: 'ca',
    ca_file: 'ca',
    model: 'allow',
    model_name: 'allow',
    api_version: 'query',
    organization: 'headers',
    host: 'address',
    listen: 'address',
    port: 'address',
    keys: 'authorization',
    api_keys: 'authorization',
    model_list: 'upstreams',
    backends: 'upstreams',
    providers: 'upstreams',
    database: 'dbaddr',
  }),
);

/** `; did you mean "endpoint"?`, or nothing when no candidate is near. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  return near === null ? '' : `; did you mean "${near}"?`;
}

/** The candidate that `word` most likely means; null when none is near. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  const folded = word.toLowerCase().replaceAll('-', '_');
  const other = OTHER_NAMES.get(folded);
  if (other !== undefined && candidates.includes(other)) return other;
  return nearestWord(folded, candidates);
}
