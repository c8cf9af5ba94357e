import { isIP } from 'node:net';

/** Where to listen. */
export interface Address {
  /** Empty: every address of the machine. */
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `:port`, `[::1]:port` → its parts; null when it is none of these. Port 0 lets the system choose. */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  if (port > 65_535 || (match[1] !== undefined && isIP(match[1]) !== 6)) return null;
  return { host: match[1] ?? match[2] ?? '', port };
}

/** True when only this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
