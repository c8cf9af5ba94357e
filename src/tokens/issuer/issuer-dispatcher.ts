import { Agent, type Dispatcher, Pool, ProxyAgent } from 'undici';
import { environmentProxy } from '../../lib/net/environment-proxy.ts';
import { Secret } from '../../lib/secret.ts';
import type { TlsMaterial } from './issuer-tls.ts';

/** The proxy's URL, credentials in it included; or `environment`: HTTP_PROXY, HTTPS_PROXY and NO_PROXY count. */
export type ProxySetting = string | Secret;

const CONNECT_TIMEOUT_MS = 3_000;
/** The caller's signal ends a call long before; this is for a caller without one. */
const ANSWER_TIMEOUT_MS = 120_000;
/** One flight at a time is the rule; a few more for sources that share an issuer by accident. */
const CONNECTIONS = 4;

/** The connections of one issuer: its own certificates, its own way out, shared with nobody. */
export function makeDispatcher(tls: TlsMaterial, proxy: ProxySetting | undefined): Dispatcher {
  const common = {
    connections: CONNECTIONS,
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    connect: { ...tls, timeout: CONNECT_TIMEOUT_MS },
  };
  const uri = proxy instanceof Secret ? proxy.reveal() : proxy;
  if (uri === undefined || uri === '') return new Agent(common);
  const through = (proxyUri: string): Dispatcher =>
    new ProxyAgent({ ...common, uri: proxyUri, requestTls: tls });
  if (uri !== 'environment') return through(uri);
  // One source may call several origins, and NO_PROXY may exempt some.
  return new Agent({
    ...common,
    factory: (origin, options) => {
      const found = environmentProxy(origin, process.env);
      return found === null ? new Pool(origin, options) : through(found);
    },
  });
}
