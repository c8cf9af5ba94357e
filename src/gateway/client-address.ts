import { isIP } from 'node:net';
import { NAMED_NETWORKS, NetworkSet } from '../lib/net/network-set.ts';

/** Finds a client's address behind proxies whose `X-Forwarded-For` is trusted. */
export class ClientAddresses {
  readonly #trusted = new NetworkSet();
  readonly #hasTrusted: boolean;

  /** `trusted` are addresses, networks in CIDR form and names of `NAMED_NETWORKS`. Throws at anything else. */
  constructor(trusted: readonly string[]) {
    this.#hasTrusted = trusted.length > 0;
    for (const entry of trusted)
      for (const network of NAMED_NETWORKS[entry] ?? [entry])
        if (!this.#trusted.add(network)) throw new Error(`"${network}" is no network`);
  }

  /**
   * The nearest address that is not a trusted proxy's; '' when the socket is gone already. Of the header only the end
   * is trusted: entries before one that is no address may be forged by the client.
   */
  of(peer: string | undefined, forwardedFor: string | readonly string[] | undefined): string {
    let address = plain(peer ?? '');
    if (!this.#hasTrusted) return address;
    const hops = String(forwardedFor ?? '').split(',');
    for (let hop = hops.pop(); hop !== undefined && this.#trusted.has(address); hop = hops.pop()) {
      const next = plain(withoutPort(hop.trim()));
      if (isIP(next) === 0) break;
      address = next;
    }
    return address;
  }
}

/** Some proxies write `203.0.113.7:51234` and `[2001:db8::1]:51234`. */
function withoutPort(hop: string): string {
  const [, bracketed, ipv4] = /^(?:\[([^\]]*)\](?::\d+)?|([^:]*):\d+)$/.exec(hop) ?? [];
  return bracketed ?? ipv4 ?? hop;
}

/** IPv4 addresses on a dual-stack socket come as `::ffff:a.b.c.d`. */
function plain(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}
