import { endpointOf } from '../../endpoints.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';

/**
 * No upstream admits a path that is asked for without a model: `unsupported_endpoint` (S127) with what to
 * configure, and the status 404. To speak of a model would mislead: none was named.
 */
export function notOffered(path: string): FerryError {
  return new FerryError('unsupported_endpoint', {
    status: 404,
    message: `${shorten(path)} is not offered here: no upstream allows it, so none was asked. To offer it, list it for an upstream that has it: allow: ${patternsOf(path)}.`,
  });
}

/**
 * Every upstream that was asked says that it does not know the path: `unsupported_endpoint` as well when their APIs say
 * so, since then the client asks for what is not there; else `upstream_not_found`, since a web server's page says that
 * the endpoint itself may be wrong.
 */
export function unknownToAll(path: string, upstreams: readonly string[], cause: FerryError): FerryError {
  const names = [...new Set(upstreams)].map((name) => `"${name}"`).join(', ');
  const isSaidByApi = cause.code === 'unsupported_endpoint';
  const otherwise = isSaidByApi ? '' : ', or check the end of their endpoints (a missing or a doubled /v1)';
  return new FerryError(isSaidByApi ? 'unsupported_endpoint' : 'path_not_found', {
    message: `No upstream that was asked knows ${shorten(path)} (asked: ${names}). List it for one that has it, allow: ${patternsOf(path)}, and for those that have not, deny: ${patternsOf(path)}${otherwise}.`,
    status: cause.status,
    code: cause.code,
    upstreamStatus: cause.upstreamStatus,
    detail: cause.detail ?? cause.message,
    cause,
  });
}

/** As it is written in the configuration. What is kept under a name goes with it: files by their ids, and the like. */
function patternsOf(path: string): string {
  const name = /^\/v1\/[^/]+/.exec(path)?.[0] ?? path;
  const patterns = endpointOf(path).isStateful ? [name, `${name}/**`] : [shorten(path)];
  return JSON.stringify(patterns).replaceAll('","', '", "');
}

function shorten(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
