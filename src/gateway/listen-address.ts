import { type Address, parseAddress } from '../config/types/address.ts';

/** Where to listen. Throws at what no checked configuration has. */
export function listenAddress(text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new Error(`the address ${text} is not host:port`);
  return address;
}

/** How a host that is listened on stands in a URL for this machine. */
export function urlHost(host: string): string {
  if (host === '' || host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
