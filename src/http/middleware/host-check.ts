import type { IncomingHttpHeaders } from 'node:http';
import { FerryError } from '../../lib/errors/ferry-error.ts';

/**
 * Protects a service that asks for no key from web pages in the same user's browser: a page of another origin sends
 * its `Origin`, and one that rebinds its DNS name to 127.0.0.1 sends that name as `Host`. Throws `not_permitted`.
 */
export function refuseForeignHosts(headers: IncomingHttpHeaders): void {
  const { host, origin } = headers;
  if (host !== undefined && !isLoopback(hostname(`http://${host}`))) throw foreign('Host');
  if (origin !== undefined && !isLoopback(hostname(origin))) throw foreign('Origin');
}

function isLoopback(name: string | null): boolean {
  return (
    name !== null &&
    (name === 'localhost' ||
      name.endsWith('.localhost') ||
      name === '[::1]' ||
      /^127(?:\.\d{1,3}){3}$/.test(name))
  );
}

function hostname(url: string): string | null {
  return URL.parse(url)?.hostname ?? null;
}

function foreign(header: string): FerryError {
  return new FerryError('not_permitted', {
    message: `Without client keys tokenferry answers only to this machine; the ${header} header names another. Configure "authorization" to open it.`,
  });
}
