import { Agent, fetch as undiciFetch } from 'undici';

/**
 * A `fetch` that trusts these authorities (PEM) in addition to nothing else; undefined: those of the machine. Redirects are
 * responses: an address that was configured is not left.
 */
export function fetchWithCa(ca: string | undefined): typeof fetch {
  const dispatcher = new Agent({ connect: ca === undefined ? {} : { ca } });
  return ((url: string, init?: object) =>
    undiciFetch(url, { ...init, redirect: 'manual', dispatcher })) as unknown as typeof fetch;
}
