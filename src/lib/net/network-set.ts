import { BlockList, isIP } from 'node:net';

/** What Express calls the usual private networks. */
export const NAMED_NETWORKS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** Addresses and networks of both families. IPv4 in its IPv6 form (`::ffff:10.0.0.1`) counts as IPv4. */
export class NetworkSet {
  readonly #list = new BlockList();

  /** Adds an address, or a network such as `10.0.0.0/8` or `fd00::/8`. False: `text` is neither, and nothing changed. */
  add(text: string): boolean {
    const [address = '', prefix, ...rest] = text.split('/');
    const family = familyOf(address);
    if (family === null || rest.length > 0) return false;
    if (prefix === undefined) {
      this.#list.addAddress(address, family);
      return true;
    }
    const isPrefix = /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 'ipv4' ? 32 : 128);
    if (isPrefix) this.#list.addSubnet(address, Number(prefix), family);
    return isPrefix;
  }

  /** False as well for an invalid address. A zone (`fe80::1%eth0`) is ignored: it only names one of our links. */
  has(address: string): boolean {
    const [plain = ''] = address.split('%');
    const family = familyOf(plain);
    return family !== null && this.#list.check(plain, family);
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' | null {
  // `BlockList` throws at a zone.
  const version = address.includes('%') ? 0 : isIP(address);
  return version === 0 ? null : version === 4 ? 'ipv4' : 'ipv6';
}
