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
  let best: string | null = null;
  // One letter for a third of the word; a word of one letter is near to nothing.
  let bestDistance = Math.min(folded.length, Math.max(1, Math.floor(folded.length / 3)) + 1);
  for (const candidate of candidates) {
    const distance = editDistance(folded, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const isSame = left[row - 1] === right[column - 1];
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwap = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && isSwap) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[right.length] ?? 0;
}
