import { field, optional, sectionOrNull } from '../types/fields.ts';
import { duration } from '../types/number-types.ts';
import { choice, fileName, proxyUrl, secret, text } from '../types/text-types.ts';

const CLIENT_TLS = {
  ca: optional(
    fileName,
    'File with the certificate authorities to trust instead of the built-in ones (PEM).',
  ),
  cert: optional(fileName, 'File with our client certificate (PEM), for mutual TLS.'),
  key: optional(fileName, 'File with the private key of `cert` (PEM).'),
  servername: optional(
    text,
    'Name to ask for and to check the certificate against, when it is not the host.',
  ),
  min: field(choice('TLSv1.2', 'TLSv1.3'), 'TLSv1.2', 'Oldest protocol version accepted.'),
};

/** TLS of connections to an upstream. Paths are relative to the configuration file. */
export const upstreamTls = sectionOrNull(CLIENT_TLS, 'TLS of the connections to it.');

/** TLS of connections to an issuer. */
export const issuerTls = sectionOrNull(
  { ...CLIENT_TLS, passphrase: optional(secret, 'Passphrase of `key`.') },
  'TLS of the connections to the issuer.',
);

/** Server side TLS. */
export const serverTls = sectionOrNull(
  {
    cert: optional(fileName, 'File with the certificate chain (PEM).'),
    key: optional(fileName, 'File with its private key (PEM).'),
    client_ca: optional(
      fileName,
      'File with the authorities of client certificates (PEM). A client with a certificate of theirs needs no key; see `clients[].certificate`.',
    ),
  },
  'Serve HTTPS with this certificate; reloaded when the files change.',
);

const PROXY = 'HTTP proxy for the connections opened here, http://[user:password@]host:port';

const outboundProxy = optional(
  proxyUrl,
  `${PROXY}, or \`environment\`: HTTP_PROXY, HTTPS_PROXY and NO_PROXY (names, .suffixes, addresses, networks, each also with :port) decide.`,
);
export const upstreamProxy = outboundProxy;
export const issuerProxy = outboundProxy;

/** The timeouts that an upstream may have of its own. */
export const UPSTREAM_TIMEOUTS = {
  timeout: 'One attempt: to the whole body (JSON), to the response headers of the last candidate (stream).',
  stream_timeout: 'Stream: to the response headers, while another candidate is left.',
  first_content_timeout: 'Stream: from the headers to the first content, while another candidate is left.',
  embeddings_timeout: 'Embeddings and rerank: one attempt.',
  connect_timeout: 'Time to open a connection.',
  idle_timeout: 'Maximum silence between two upstream events; comments count as events.',
} as const;

/** Own timeout of an upstream: 0 and absent both inherit, as in openai-api-route. */
export function inheritedTimeout(description: string) {
  return field(duration(), 0, `${description} 0 inherits the global one.`);
}
