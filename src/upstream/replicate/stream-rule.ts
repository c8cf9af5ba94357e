/**
 * Whether the event stream that a prediction names may be requested. The URL comes from outside, so it is used only at the
 * configured endpoint's own origin, or over HTTPS at a host of replicate.com when the endpoint is one as well. Every other
 * one is left alone, and the prediction is polled at the endpoint instead.
 */
export function isStreamAllowed(stream: URL, endpoint: URL): boolean {
  if (stream.username !== '' || stream.password !== '') return false;
  if (stream.origin === endpoint.origin) return true;
  return isReplicate(stream) && isReplicate(endpoint);
}

function isReplicate({ protocol, hostname, port }: URL): boolean {
  return protocol === 'https:' && port === '' && /(?:^|\.)replicate\.com$/.test(hostname);
}

/**
 * The path below the endpoint that a URL of a prediction means; null: it is no URL, of another origin, or outside the
 * endpoint's own path, so that it must not be requested with the endpoint's credentials.
 */
export function pathBelow(url: string | null, endpoint: URL): string | null {
  const parsed = url === null ? null : URL.parse(url);
  if (parsed === null || parsed.origin !== endpoint.origin || parsed.username !== '') return null;
  const base = endpoint.pathname.replace(/\/+$/, '');
  return parsed.pathname.startsWith(`${base}/`) ? parsed.pathname.slice(base.length) : null;
}
