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
